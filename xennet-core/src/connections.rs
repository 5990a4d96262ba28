//! The connections to the kernel, Open vSwitch and XenStore, each opened when it is first needed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::kernel::{self, Kernel, LegacyTables, Nftables};
use crate::ovsdb::{self, Ovsdb};
use crate::xenstore::XenStore;

/// The only owner of connections. Facts are read and changes are made through it.
#[derive(Debug)]
pub(crate) struct Connections {
    kernel: Option<Kernel>,
    nft: Option<Nftables>,
    ovs: Option<Ovsdb>,
    ovs_socket: PathBuf,
    /// When the operation must have ended.
    limit: Option<Instant>,
    /// The tables of legacy iptables.
    pub(crate) legacy: LegacyTables,
    /// None where the caller works without XenStore.
    pub(crate) store: Option<XenStore>,
}

impl Connections {
    /// Nothing but the connection to XenStore is open yet.
    pub(crate) fn new(store: Option<XenStore>) -> Self {
        Self {
            kernel: None,
            nft: None,
            ovs: None,
            ovs_socket: Ovsdb::SOCKET.into(),
            limit: None,
            legacy: LegacyTables::default(),
            store,
        }
    }

    /// Sets when the operation must have ended: from then on each request to the kernel or XenStore fails (`ETIMEDOUT`).
    pub(crate) fn set_limit(&mut self, limit: Option<Instant>) {
        self.limit = limit;
        if let Some(store) = &mut self.store {
            store.set_limit(limit);
        }
    }

    /// rtnetlink, in the network namespace that the thread is in at the first call.
    pub(crate) fn kernel(&mut self) -> Result<&mut Kernel, kernel::Error> {
        self.kernel_side().into_kernel()
    }

    /// nftables, in the network namespace that the thread is in at the first call.
    pub(crate) fn nft(&mut self) -> Result<&mut Nftables, kernel::Error> {
        self.kernel_side().into_nft()
    }

    fn kernel_side(&mut self) -> KernelSide<'_> {
        KernelSide { kernel: &mut self.kernel, nft: &mut self.nft, limit: self.limit }
    }

    /// Open vSwitch's database. A broken connection is replaced.
    pub(crate) fn ovs(&mut self) -> Result<&mut Ovsdb, ovsdb::Error> {
        if self.ovs.as_ref().is_some_and(Ovsdb::is_broken) {
            self.ovs = None;
        }
        opened(&mut self.ovs, || Ovsdb::connect(&self.ovs_socket))
    }

    /// The socket of Open vSwitch's database.
    pub(crate) fn ovs_socket(&self) -> &Path {
        &self.ovs_socket
    }

    /// Sets the socket of Open vSwitch's database, and closes a connection to another one.
    pub(crate) fn set_ovs_socket(&mut self, socket: PathBuf) {
        if socket != self.ovs_socket {
            self.ovs_socket = socket;
            self.ovs = None;
        }
    }

    /// XenStore, and the other connections for what is read while XenStore prepares its answer.
    pub(crate) fn split_store(&mut self) -> (Option<&mut XenStore>, KernelSide<'_>) {
        let Self { kernel, nft, store, limit, .. } = self;
        (store.as_mut(), KernelSide { kernel, nft, limit: *limit })
    }
}

/// The connections to the kernel.
#[derive(Debug)]
pub(crate) struct KernelSide<'c> {
    kernel: &'c mut Option<Kernel>,
    nft: &'c mut Option<Nftables>,
    limit: Option<Instant>,
}

impl<'c> KernelSide<'c> {
    /// As [`Connections::kernel`].
    pub(crate) fn kernel(&mut self) -> Result<&mut Kernel, kernel::Error> {
        KernelSide { kernel: self.kernel, nft: self.nft, limit: self.limit }.into_kernel()
    }

    /// As [`Connections::nft`].
    pub(crate) fn nft(&mut self) -> Result<&mut Nftables, kernel::Error> {
        KernelSide { kernel: self.kernel, nft: self.nft, limit: self.limit }.into_nft()
    }

    fn into_kernel(self) -> Result<&'c mut Kernel, kernel::Error> {
        let kernel = opened(self.kernel, Kernel::open)?;
        kernel.set_limit(self.limit);
        Ok(kernel)
    }

    fn into_nft(self) -> Result<&'c mut Nftables, kernel::Error> {
        let nft = opened(self.nft, Nftables::open)?;
        nft.set_limit(self.limit);
        Ok(nft)
    }
}

fn opened<T, E>(
    connection: &mut Option<T>,
    open: impl FnOnce() -> Result<T, E>,
) -> Result<&mut T, E> {
    match connection {
        Some(open) => Ok(open),
        closed => Ok(closed.insert(open()?)),
    }
}
