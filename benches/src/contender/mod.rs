//! Who is measured: each does the same job, and is asked to undo it.

mod c_abi;
mod library;
mod process;
mod raw;
pub mod rtnetlink;

use std::time::Duration;

use crate::Result;
use crate::scene::{Filter, Port, Scene, Setting};

pub use c_abi::CAbi;
pub use library::Library;
pub use process::{Programs, hotplug, libc_of_ours, stock_scripts};
pub use raw::Raw;

/// What is comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A program is started for each plug, as libxl does it: measured from before its start until after its end.
    Fresh,
    /// One process plugs again and again: what it opened once, it has.
    LongLived,
}

/// What is done to a vif.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Plug it in.
    Online,
    /// Unplug it.
    Offline,
}

/// A way to do it.
pub trait Contender {
    /// As it stands in the results.
    fn name(&self) -> &'static str;

    /// Does it, and says how long that took.
    fn run(&mut self, action: Action, port: &Port) -> Result<Duration>;

    /// What it filters with where a filter is asked for.
    fn filter(&self) -> Filter;
}

/// Names that other parts of the results refer to.
pub mod name {
    /// Debian's script of Xen 4.17.
    pub const DEBIAN: &str = "vif-bridge (Debian)";
    /// The same with its firewall part.
    pub const UPSTREAM: &str = "vif-bridge (upstream, iptables)";
    /// iproute2, a process for each step.
    pub const IP: &str = "ip commands";
    /// iproute2, one process.
    pub const IP_BATCH: &str = "ip -batch";
    /// The crate.
    pub const RTNETLINK: &str = "rtnetlink crate";
    /// The hotplug command, or `xennet vif` where there is no XenStore.
    pub const COMMAND: &str = "xennet (command)";
    /// `floor.c`
    pub const C_FLOOR: &str = "static C (floor)";
    /// The same, linked with musl.
    pub const C_MUSL: &str = "static C with musl";
    /// xennet-core.
    pub const LIBRARY: &str = "xennet (Rust library)";
    /// libxennet.so.
    pub const C_ABI: &str = "xennet (C ABI)";
    /// One sendmsg.
    pub const RAW: &str = "raw messages (floor)";
    /// Two: it looks before and after.
    pub const RAW_LOOKING: &str = "raw messages that look";
}

impl Action {
    /// Both, in the order in which they happen.
    pub const ALL: [Self; 2] = [Self::Online, Self::Offline];

    /// libxl's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

impl Class {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fresh, Self::LongLived];

    /// As it stands in the results.
    pub fn title(self) -> &'static str {
        match self {
            Self::Fresh => "fresh process",
            Self::LongLived => "long-lived process",
        }
    }

    /// The contender that does least.
    pub fn floor(self) -> &'static str {
        match self {
            Self::Fresh => name::C_FLOOR,
            Self::LongLived => name::RAW,
        }
    }

    /// How many contenders it has under this setting.
    pub fn count(self, setting: Setting) -> usize {
        match self {
            // The stock scripts cannot do without a XenStore, and the crate knows none.
            Self::Fresh if setting.store => 7,
            Self::Fresh => 6,
            Self::LongLived if setting.store => 3,
            Self::LongLived => 5,
        }
    }

    /// Its contenders.
    pub fn contenders<'s>(
        self,
        scene: &'s Scene,
        programs: &'s Programs,
    ) -> Result<Vec<Box<dyn Contender + 's>>> {
        match self {
            Self::Fresh => programs.contenders(scene),
            Self::LongLived => {
                let mut all: Vec<Box<dyn Contender + 's>> = vec![
                    Box::new(Raw::open(scene)?),
                    Box::new(Library::open(scene)?),
                    Box::new(CAbi::open(scene)?),
                ];
                if !scene.setting.store {
                    all.push(Box::new(Raw::open_to_look(scene)?));
                    all.push(Box::new(rtnetlink::LongLived::open()?));
                }
                Ok(all)
            }
        }
    }
}
