use std::ffi::{c_char, c_int, c_uint};
use std::mem::MaybeUninit;
use std::time::Duration;

use xennet_core::Dom0Network;
use xennet_core::config::NetworkConfig;
use xennet_core::xenstore::XenStore;

use crate::boundary::{call, given, path, text};
use crate::error::Error;
use crate::list::{Names, VifList};

/// The network of dom0, or of a driver domain: the network namespace that the opening thread
/// was in, and XenStore.
///
/// It holds netlink sockets, one connection to XenStore, and, once it looked at others' filters, up
/// to two files of /proc.
#[derive(Debug)]
pub struct Net {
    pub(crate) network: Dom0Network,
}

/// Opens this namespace's kernel, and XenStore where libxenstore would find it:
/// $XENSTORED_PATH, or else $XENSTORED_RUNDIR/socket, /var/run/xenstored/socket,
/// /dev/xen/xenbus.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_open(
    net_r: Option<&mut MaybeUninit<Box<Net>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || open(net_r, Dom0Network::open))
}

/// The same without XenStore: nothing is read from it, and nobody is told.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_open_without_store(
    net_r: Option<&mut MaybeUninit<Box<Net>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || open(net_r, Dom0Network::without_store))
}

/// The same with the XenStore at `store`: a socket, or a device such as /dev/xen/xenbus.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_open_with_store(
    store: *const c_char,
    net_r: Option<&mut MaybeUninit<Box<Net>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or a text.
        let store = unsafe { path(store, "store") }?;
        open(net_r, || Dom0Network::with_store(Some(XenStore::connect(store)?)))
    })
}

/// Sets where locks are kept, instead of /run/xennet. The directory is made when it is needed.
///
/// All that plug vifs here, the xennet command included, must agree on it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_set_run_dir(
    net: Option<&mut Net>,
    dir: *const c_char,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or a text.
        given(net, "net")?.network.set_run_dir(unsafe { path(dir, "dir") }?);
        Ok(())
    })
}

/// Sets where the administrator's *.hook executables are, instead of
/// /etc/xen/scripts/vif-post.d.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_set_hook_dir(
    net: Option<&mut Net>,
    dir: *const c_char,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or a text.
        given(net, "net")?.network.set_hook_dir(unsafe { path(dir, "dir") }?);
        Ok(())
    })
}

/// Sets where the files of other programs that configure interfaces are (/etc/network/interfaces
/// and the like, which plans warn of), instead of /.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_set_root_dir(
    net: Option<&mut Net>,
    dir: *const c_char,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or a text.
        given(net, "net")?.network.set_root(unsafe { path(dir, "dir") }?);
        Ok(())
    })
}

/// Sets how long xennet_vif_online() waits for an interface that is yet to be made, instead of
/// 10 seconds. 0 does not wait.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_set_link_wait(
    net: Option<&mut Net>,
    milliseconds: c_uint,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        given(net, "net")?.network.set_link_wait(Duration::from_millis(milliseconds.into()));
        Ok(())
    })
}

/// Sets what the administrator decides for the whole host, from the text of a xennet.toml. An
/// error names its line and column, and changes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_set_config(
    net: Option<&mut Net>,
    toml: *const c_char,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or a text.
        let toml = unsafe { text(toml, "toml") }?;
        given(net, "net")?.network.set_config(NetworkConfig::from_toml(toml)?);
        Ok(())
    })
}

/// The same from a file, normally /etc/xen/xennet.toml. That there is no such file is no error.
/// Without this call, nothing is decided: the file is not read by itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_load_config(
    net: Option<&mut Net>,
    file: *const c_char,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or a text.
        Ok(given(net, "net")?.network.load_config(unsafe { path(file, "file") }?)?)
    })
}

/// Lists every vif that has a backend in XenStore or, without XenStore, an interface of
/// netback's name, in order.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_list_vifs(
    net: Option<&mut Net>,
    vifs_r: Option<&mut MaybeUninit<Box<VifList>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let vifs_r = given(vifs_r, "vifs_r")?;
        vifs_r.write(Box::new(VifList::new(given(net, "net")?.network.vifs()?)));
        Ok(())
    })
}

/// Lists the name of every Linux bridge here.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_list_bridges(
    net: Option<&mut Net>,
    names_r: Option<&mut MaybeUninit<Box<Names>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let names_r = given(names_r, "names_r")?;
        let bridges = given(net, "net")?.network.bridges()?;
        names_r.write(Box::new(Names::new(bridges.iter().map(|bridge| &bridge.name))));
        Ok(())
    })
}

/// Closes the network and frees it. What was done with it stays. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_free(net: Option<Box<Net>>) {
    drop(net);
}

fn open(
    net_r: Option<&mut MaybeUninit<Box<Net>>>,
    network: impl FnOnce() -> Result<Dom0Network, xennet_core::Error>,
) -> Result<(), Error> {
    given(net_r, "net_r")?.write(Box::new(Net { network: network()? }));
    Ok(())
}
