//! The connections to the kernel, Open vSwitch and XenStore, each opened when it is first needed.

use std::path::{Path, PathBuf};

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
            legacy: LegacyTables::default(),
            store,
        }
    }

    /// rtnetlink, in the network namespace that the thread is in at the first call.
    pub(crate) fn kernel(&mut self) -> Result<&mut Kernel, kernel::Error> {
        opened(&mut self.kernel, Kernel::open)
    }

    /// nftables, in the network namespace that the thread is in at the first call.
    pub(crate) fn nft(&mut self) -> Result<&mut Nftables, kernel::Error> {
        opened(&mut self.nft, Nftables::open)
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
        let Self { kernel, nft, store, .. } = self;
        (store.as_mut(), KernelSide { kernel, nft })
    }
}

/// The connections to the kernel.
#[derive(Debug)]
pub(crate) struct KernelSide<'c> {
    kernel: &'c mut Option<Kernel>,
    nft: &'c mut Option<Nftables>,
}

impl KernelSide<'_> {
    /// As [`Connections::kernel`].
    pub(crate) fn kernel(&mut self) -> Result<&mut Kernel, kernel::Error> {
        opened(self.kernel, Kernel::open)
    }

    /// As [`Connections::nft`].
    pub(crate) fn nft(&mut self) -> Result<&mut Nftables, kernel::Error> {
        opened(self.nft, Nftables::open)
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
