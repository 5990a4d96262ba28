//! libxennet.so, loaded as a C program would load it.
#![expect(unsafe_code, reason = "what is measured is a C ABI")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr::{NonNull, null_mut};
use std::time::{Duration, Instant};

use super::{Action, Contender, name};
use crate::Result;
use crate::scene::{BRIDGE, Filter, Port, Scene};

/// One `xennet *` for all plugs.
#[derive(Debug)]
pub struct CAbi {
    functions: Functions,
    net: NonNull<c_void>,
    store: bool,
}

type Handle = *mut c_void;
type OpenWithStore = unsafe extern "C" fn(*const c_char, *mut Handle, *mut Handle) -> c_int;
type OpenWithoutStore = unsafe extern "C" fn(*mut Handle, *mut Handle) -> c_int;
type New = unsafe extern "C" fn(u32, u32, *mut Handle, *mut Handle) -> c_int;
type Message = unsafe extern "C" fn(Handle) -> *const c_char;
type Plug = unsafe extern "C" fn(Handle, Handle, *mut Handle, *mut Handle) -> c_int;
type Set = unsafe extern "C" fn(Handle, *const c_char, *const c_char, *mut Handle) -> c_int;
type SetDir = unsafe extern "C" fn(Handle, *const c_char, *mut Handle) -> c_int;
type Free = unsafe extern "C" fn(Handle);

/// As libxennet.h declares them, with `void *` for its handles. The library is never unloaded.
#[derive(Debug, Clone, Copy)]
struct Functions {
    open_with_store: OpenWithStore,
    open_without_store: OpenWithoutStore,
    set_run_dir: SetDir,
    set_hook_dir: SetDir,
    free: Free,
    vif_new: New,
    vif_set: Set,
    vif_online: Plug,
    vif_offline: Plug,
    vif_free: Free,
    error_message: Message,
    error_free: Free,
}

impl CAbi {
    /// Loads `$XENNET_LIB/libxennet.so`, and opens the scene's kernel and XenStore.
    pub fn open(scene: &Scene) -> Result<Self> {
        let functions = Functions::load()?;
        let (dom0, store) = (&scene.dom0, scene.setting.store);
        let mut net = null_mut();
        let socket = text(dom0.store.socket().as_os_str().as_bytes())?;
        // SAFETY: the texts end with a NUL and outlive the call, the results are ours, and NULL is fine for `err_r`.
        let status = unsafe {
            if store {
                (functions.open_with_store)(socket.as_ptr(), &raw mut net, null_mut())
            } else {
                (functions.open_without_store)(&raw mut net, null_mut())
            }
        };
        let net = NonNull::new(net).ok_or_else(|| format!("xennet_open: {status}"))?;
        let this = Self { functions, net, store };
        for (set, dir) in
            [(functions.set_run_dir, dom0.run_dir()), (functions.set_hook_dir, dom0.hook_dir())]
        {
            let dir = text(dir.as_os_str().as_bytes())?;
            // SAFETY: as above.
            this.check(|error| unsafe { set(net.as_ptr(), dir.as_ptr(), error) })?;
        }
        Ok(this)
    }

    fn check(&self, call: impl FnOnce(*mut Handle) -> c_int) -> Result<()> {
        let mut error = null_mut();
        if call(&raw mut error) == 0 {
            return Ok(());
        }
        // SAFETY: a call that failed has written an error, which is ours until it is freed.
        let said = unsafe {
            let said = CStr::from_ptr((self.functions.error_message)(error)).to_string_lossy();
            let said = said.into_owned();
            (self.functions.error_free)(error);
            said
        };
        Err(said.into())
    }
}

impl Contender for CAbi {
    fn name(&self) -> &'static str {
        name::C_ABI
    }

    fn run(&mut self, action: Action, port: &Port) -> Result<Duration> {
        let Functions { vif_new, vif_set, vif_online, vif_offline, vif_free, .. } = self.functions;
        let keys = [("bridge", BRIDGE), ("mac", &port.mac), ("ip", &port.ip)]
            .map(|(key, value)| Ok((text(key.as_bytes())?, text(value.as_bytes())?)));
        let keys = keys.into_iter().collect::<Result<Vec<_>>>()?;
        let (domid, devid) = (port.id.domid.into(), port.id.devid);

        let began = Instant::now();
        let mut vif = null_mut();
        // SAFETY: the vif lives until it is freed below; texts outlive their calls, and NULL is fine for `done_r`.
        self.check(|error| unsafe { vif_new(domid, devid, &raw mut vif, error) })?;
        for (key, value) in keys.iter().take(if self.store { 0 } else { keys.len() }) {
            // SAFETY: as above.
            self.check(|error| unsafe { vif_set(vif, key.as_ptr(), value.as_ptr(), error) })?;
        }
        let plug = match action {
            Action::Online => vif_online,
            Action::Offline => vif_offline,
        };
        // SAFETY: as above.
        let done = self.check(|error| unsafe { plug(self.net.as_ptr(), vif, null_mut(), error) });
        // SAFETY: it is not used any more.
        unsafe { vif_free(vif) };
        done?;
        Ok(began.elapsed())
    }

    fn filter(&self) -> Filter {
        Filter::Guard
    }
}

impl Drop for CAbi {
    fn drop(&mut self) {
        // SAFETY: it was opened, and is not used any more.
        unsafe { (self.functions.free)(self.net.as_ptr()) };
    }
}

impl Functions {
    fn load() -> Result<Self> {
        let dir = std::env::var_os("XENNET_LIB")
            .ok_or("run make bench, or set XENNET_LIB to the directory of libxennet.so")?;
        let path = PathBuf::from(dir).join("libxennet.so");
        let file = text(path.as_os_str().as_bytes())?;
        // SAFETY: the library's constructors do nothing.
        let library = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            return Err(format!("{} cannot be loaded", path.display()).into());
        }
        macro_rules! function {
            ($name:literal, $type:ty) => {{
                // SAFETY: the name ends with a NUL.
                let function = unsafe { libc::dlsym(library, $name.as_ptr()) };
                if function.is_null() {
                    return Err(format!("libxennet.so has no {:?}", $name).into());
                }
                // SAFETY: libxennet.h declares this function so; its handles are pointers.
                unsafe { std::mem::transmute::<*mut c_void, $type>(function) }
            }};
        }
        Ok(Self {
            open_with_store: function!(c"xennet_open_with_store", OpenWithStore),
            open_without_store: function!(c"xennet_open_without_store", OpenWithoutStore),
            set_run_dir: function!(c"xennet_set_run_dir", SetDir),
            set_hook_dir: function!(c"xennet_set_hook_dir", SetDir),
            free: function!(c"xennet_free", Free),
            vif_new: function!(c"xennet_vif_new", New),
            vif_set: function!(c"xennet_vif_set", Set),
            vif_online: function!(c"xennet_vif_online", Plug),
            vif_offline: function!(c"xennet_vif_offline", Plug),
            vif_free: function!(c"xennet_vif_free", Free),
            error_message: function!(c"xennet_error_message", Message),
            error_free: function!(c"xennet_error_free", Free),
        })
    }
}

fn text(bytes: &[u8]) -> Result<CString> {
    Ok(CString::new(bytes)?)
}
