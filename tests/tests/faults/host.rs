//! Starts and stops of the host's network.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use xennet_tests::lan::{Lan, assert_same};

use super::Make;
use super::inject::{Class, Run, Scenario};

const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";

struct Host {
    lan: Lan,
    before: BTreeMap<String, Value>,
    words: &'static str,
}

macro_rules! scenario {
    ($words:literal) => {
        || Box::new(Host::new($words))
    };
}

pub(crate) const SCENARIOS: [(&str, Make); 3] = [
    ("network start", scenario!("network start")),
    ("network stop", scenario!("network stop")),
    ("network stop --force", scenario!("network stop --force")),
];

/// The addresses that the host must not lose, and where its packets go.
const ADDRESSES: [&str; 4] = ["192.0.2.2", "192.0.2.3", "2001:db8::2", "2001:db8::3"];

impl Host {
    fn new(words: &'static str) -> Self {
        let lan = Lan::with_addresses();
        lan.netns.ip("route add 10.0.0.0/8 via 192.0.2.1 dev eth0");
        lan.configure(INHERIT);
        let before = lan.state();
        Self { lan, before, words }
    }

    /// Whether each address and each route is somewhere.
    fn has_all(&self) -> Result<(), String> {
        let addresses = self.lan.netns.ip_json("address show").to_string();
        for address in ADDRESSES {
            if !addresses.contains(&format!("\"local\":\"{address}\"")) {
                return Err(format!("{address} is nowhere"));
            }
        }
        let v4 = self.lan.netns.ip_json("-4 route show").to_string();
        let v6 = self.lan.netns.ip_json("-6 route show").to_string();
        for (routes, dst) in [(&v4, "default"), (&v4, "10.0.0.0/8"), (&v6, "default")] {
            if !routes.contains(&format!("\"dst\":\"{dst}\"")) {
                return Err(format!("route {dst} is nowhere"));
            }
        }
        Ok(())
    }

    fn restored(&self) -> Result<(), String> {
        // A trial ends with its stop, or its watchdog rolls it back.
        let stopped = self.lan.xennet("network stop");
        if !matches!(stopped.code, Some(0 | 3)) {
            return Err(format!("a plain stop: {}", stopped.stderr));
        }
        self.lan.watchdog_ended();
        // The kernel makes the routes to its IPv6 addresses some time after it has probed them.
        let began = Instant::now();
        let mut state = self.lan.state();
        while state != self.before && began.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(100));
            state = self.lan.state();
        }
        catch_unwind(|| assert_same(&self.before, &state, "the stop"))
            .map_err(|_| "a plain stop does not restore everything".to_owned())?;
        if self.lan.recorded() { Err("a record is left".to_owned()) } else { Ok(()) }
    }
}

impl Scenario for Host {
    fn prepare(&self) -> Command {
        self.lan.xennet("network stop").succeeded();
        self.lan.watchdog_ended();
        if self.words.starts_with("network stop") {
            self.lan.xennet("network start").succeeded();
        }
        self.lan.command(self.words)
    }

    fn judge(&self, run: &Run) -> Result<(), String> {
        // A signal takes effect once all changes are made.
        if run.class == Class::Signals {
            // Before the first change it ends the process at once, and nothing is changed.
            let complete = !self.lan.recorded() || self.lan.xennet("network check").code == Some(0);
            if !complete {
                return Err(run.violation("SIGTERM ended it in the middle"));
            }
            return self.restored().map_err(|text| run.violation(text));
        }
        let killed = match run.code() {
            Some(0 | 1 | 3) => false,
            None => true,
            Some(_) => return Err(run.violation("an unknown exit status")),
        };
        if !killed {
            self.has_all().map_err(|text| run.violation(text))?;
        }
        if run.code() != Some(0) && !killed && run.stderr().is_empty() {
            return Err(run.violation("without a word"));
        }
        self.restored().map_err(|text| run.violation(text))
    }
}
