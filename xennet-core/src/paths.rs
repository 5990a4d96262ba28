use std::path::PathBuf;

/// The directories that xennet reads and writes.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// Locks, records and what dnsmasq reads: normally `/run/xennet`. Created when needed.
    pub(crate) run: PathBuf,
    /// The administrator's `*.hook` executables.
    pub(crate) hooks: PathBuf,
    /// Below it lie the files of other programs that configure interfaces: normally `/`.
    pub(crate) root: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            run: "/run/xennet".into(),
            hooks: "/etc/xen/scripts/vif-post.d".into(),
            root: "/".into(),
        }
    }
}
