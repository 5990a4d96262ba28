//! Reads facts from the kernel, XenStore, Open vSwitch and files.
//!
//! Nothing here locks, waits for a condition, changes anything or plans.

mod backend;
mod dhcp;
mod filters;
mod guard;
mod guest;
mod link;
mod managers;
mod network;
mod policy;
mod port;
mod routed;
mod switch;
mod uplink;
mod vifs;

pub(crate) use backend::{Backend, CONFIG_KEYS};
pub(crate) use dhcp::{dhcp_text, other_dhcp_texts};
pub(crate) use guard::{Tables, look, look_at_others};
pub(crate) use link::{LinksAhead, VifLinks, port_names};
pub(crate) use network::own_mac;
pub(crate) use port::iptables;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Error;
use crate::config::NetworkConfig;
use crate::connections::Connections;
use crate::kernel::BaseChain;
use crate::paths::Paths;
use crate::plan::{Change, FilterSnapshot, Plan};
use crate::types::{Address, IfName, Link, LinkRef, LinkRule, NftFamily};

/// Answers questions about this host, for one operation.
///
/// An answer that was read ahead of its question, together with others in one request, is kept until it is asked for.
#[derive(Debug)]
pub(crate) struct Facts<'n> {
    pub(crate) connections: &'n mut Connections,
    /// What the administrator wants.
    pub(crate) config: &'n NetworkConfig,
    pub(crate) paths: &'n Paths,
    /// Whether the operation is going to write to XenStore.
    pub(crate) publishes: bool,
    /// The interface of the vif with this original name when it was observed last.
    vif: Option<(IfName, LinkRef)>,
    /// What is asked about it.
    links_ahead: Option<LinksAhead>,
    wanted: WantedFacts,
    state: StateFacts,
}

/// Answers about what is wanted, and about what the operation does not change: they hold for a whole attempt.
#[derive(Debug, Default)]
struct WantedFacts {
    /// By the backend's directory.
    backends: BTreeMap<String, Backend>,
    filters: Option<FilterSnapshot>,
    link_rules: Option<Vec<LinkRule>>,
    base_chains: Option<Vec<BaseChain>>,
    hooks: Option<Vec<PathBuf>>,
}

/// Answers about what the operation changes: verification asks for them again.
#[derive(Debug, Default)]
struct StateFacts {
    links: Vec<(IfName, Option<Link>)>,
    addresses: Vec<(u32, Vec<Address>)>,
    guard_tables: Option<Tables>,
    known_guard_tables: Option<Tables>,
}

impl<'n> Facts<'n> {
    pub(crate) fn new(
        connections: &'n mut Connections,
        config: &'n NetworkConfig,
        paths: &'n Paths,
    ) -> Self {
        Self {
            connections,
            config,
            paths,
            publishes: false,
            vif: None,
            links_ahead: None,
            wanted: WantedFacts::default(),
            state: StateFacts::default(),
        }
    }

    /// Forgets all answers: the operation starts again.
    pub(crate) fn start_over(&mut self) {
        self.wanted = WantedFacts::default();
        self.state = StateFacts::default();
    }

    /// Forgets the answers about what the operation has changed, which this plan was.
    pub(crate) fn observe_again(&mut self, plan: &Plan) {
        let batches = plan.observable().filter(|change| matches!(change, Change::Nft { .. }));
        let batches = u32::try_from(batches.count()).unwrap_or(u32::MAX);
        let tables = self.state.known_guard_tables.take();
        self.state = StateFacts::default();
        self.state.guard_tables = tables.map(|tables| tables.after(batches));
    }

    /// The ruleset's generation and the guard's tables in these families, as they were read ahead or are now.
    pub(crate) fn guard_tables(&mut self, families: &[NftFamily]) -> Result<Tables, Error> {
        let ahead = self.state.guard_tables.take().filter(|tables| tables.are_of(families));
        match ahead {
            Some(tables) => Ok(tables),
            None => Tables::read(self.connections.nft()?, families),
        }
    }

    /// Keeps tables that exist: this operation's own batches leave them as they are.
    pub(crate) fn keep_guard_tables(&mut self, tables: Tables, family: NftFamily) {
        self.state.known_guard_tables = Some(tables).filter(|tables| tables.have(family));
    }
}
