use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::NetworkConfig;
use crate::connections::Connections;
use crate::context::Context;
use crate::kernel::LinkFilter;
use crate::ovsdb::Ovsdb;
use crate::paths::Paths;
use crate::types::{Device, IfName, Interface, ParseError, VifId};
use crate::xenstore::XenStore;
use crate::{Bridge, Error, Guard, Host, Ovs, Vif};

/// The network of dom0, or of a driver domain: this thread's network namespace and this domain's XenStore.
///
/// Holds one connection to XenStore, and the sockets that it needed since: to the kernel and to Open vSwitch. Use it from
/// one thread, and open a new one after a fork.
#[derive(Debug)]
pub struct Dom0Network {
    context: Context,
    ovs_socket: PathBuf,
}

impl Dom0Network {
    /// The calling thread's network namespace, and XenStore where libxenstore would find it.
    ///
    /// An error (mostly `ENOENT` or `ECONNREFUSED`) that names all places that were tried when no XenStore answers:
    /// without one, [`without_store`](Self::without_store) will do. The kernel's when it gives no socket.
    pub fn open() -> Result<Self, Error> {
        Self::with_store(Some(XenStore::open()?))
    }

    /// The same without XenStore: nothing is read from it, and nobody is told.
    pub fn without_store() -> Result<Self, Error> {
        Self::with_store(None)
    }

    /// The same with a connection to XenStore of the caller's own.
    pub fn with_store(store: Option<XenStore>) -> Result<Self, Error> {
        Ok(Self {
            context: Context {
                connections: Connections::new(store),
                config: NetworkConfig::default(),
                paths: Paths::default(),
                link_wait: Duration::from_secs(10),
            },
            ovs_socket: Ovsdb::SOCKET.into(),
        })
    }

    pub(crate) fn store(&self) -> Option<&XenStore> {
        self.context.connections.store.as_ref()
    }

    /// What the administrator decided for this host: the text of `xennet.toml`, parsed.
    pub fn set_config(&mut self, config: NetworkConfig) {
        self.context.config = config;
        self.place_ovs_socket();
    }

    /// Reads that from a file, normally `/etc/xen/xennet.toml`; that there is none is no error.
    pub fn load_config(&mut self, path: &Path) -> Result<(), Error> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                return Err(Error::File { doing: "read", path: path.to_owned(), source });
            }
        };
        let config = NetworkConfig::from_toml(&text)
            .map_err(|source| Error::Config { path: path.to_owned(), source })?;
        self.set_config(config);
        Ok(())
    }

    /// What the administrator decided for this host.
    pub fn config(&self) -> &NetworkConfig {
        &self.context.config
    }

    /// Where locks are kept, instead of `/run/xennet`. It is made when needed.
    pub fn set_run_dir(&mut self, dir: impl Into<PathBuf>) {
        self.context.paths.run = dir.into();
    }

    /// Where locks are kept.
    pub fn run_dir(&self) -> &Path {
        &self.context.paths.run
    }

    /// Where the administrator's `*.hook` executables are, instead of `/etc/xen/scripts/vif-post.d`.
    pub fn set_hook_dir(&mut self, dir: impl Into<PathBuf>) {
        self.context.paths.hooks = dir.into();
    }

    /// Where the files of other programs that configure interfaces are, instead of `/`.
    pub fn set_root(&mut self, dir: impl Into<PathBuf>) {
        self.context.paths.root = dir.into();
    }

    /// Where the socket of Open vSwitch's database is, instead of `/run/openvswitch/db.sock`; `[ovs]` in `xennet.toml`
    /// counts before it.
    pub fn set_ovs_socket(&mut self, socket: impl Into<PathBuf>) {
        self.ovs_socket = socket.into();
        self.place_ovs_socket();
    }

    fn place_ovs_socket(&mut self) {
        let socket = self.context.config.ovs_socket.as_ref().unwrap_or(&self.ovs_socket);
        self.context.connections.set_ovs_socket(socket.clone());
    }

    /// How long to wait for an interface that is yet to be made, instead of 10 seconds.
    ///
    /// Stay well below the 40 seconds after which libxl kills a hotplug script.
    pub fn set_link_wait(&mut self, wait: Duration) {
        self.context.link_wait = wait;
    }

    /// One vif of a guest; an error when the kernel could not give an interface the name of such a one.
    pub fn vif(&mut self, id: VifId) -> Result<Vif<'_>, ParseError> {
        Vif::new(&mut self.context, id, Device::Vif)
    }

    /// The tap of an emulated NIC of an HVM guest.
    ///
    /// An error as [`vif`](Self::vif)'s.
    pub fn tap(&mut self, id: VifId) -> Result<Vif<'_>, ParseError> {
        Vif::new(&mut self.context, id, Device::Tap)
    }

    /// The guard of all vifs.
    pub fn guard(&mut self) -> Guard<'_> {
        Guard::new(&mut self.context)
    }

    /// One bridge, which need not exist yet.
    pub fn bridge(&mut self, name: IfName) -> Bridge<'_> {
        Bridge::new(&mut self.context, name)
    }

    /// What Open vSwitch has of guests.
    pub fn ovs(&mut self) -> Ovs<'_> {
        Ovs::new(&mut self.context)
    }

    /// The host's side: what the configuration says of its bridges, addresses and forwarding.
    pub fn host(&mut self) -> Host<'_> {
        Host::new(&mut self.context)
    }

    /// Every bridge here. `ip link show type bridge`
    ///
    /// An error when the kernel does not answer.
    pub fn bridges(&mut self) -> Result<Vec<Interface>, Error> {
        let bridges = self.context.facts().links(LinkFilter::Kind("bridge"))?;
        Ok(bridges.iter().map(Interface::from).collect())
    }

    /// Every vif that has a backend in XenStore or, without XenStore, an interface of netback's name, in order.
    ///
    /// An error when XenStore, or else the kernel, does not answer. Nodes that are no vifs are passed over.
    pub fn vifs(&mut self) -> Result<Vec<VifId>, Error> {
        self.context.facts().vifs()
    }
}
