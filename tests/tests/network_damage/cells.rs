//! One damage, followed by one command.

use std::collections::BTreeMap;

use xennet_tests::hotplug::Outcome;

use crate::host::{Facts, Host, ON_TRIAL, reaches_the_world, settings};

/// A damage, and what the commands do about it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What the host has beyond the usual before the start; see [`Host::run`].
    pub(crate) setup: &'static [&'static str],
    /// What happens between the start and the command.
    pub(crate) damage: &'static [&'static str],
    /// What `xennet network check` prints about the damage; none if it is no business of `check`.
    pub(crate) noticed: Option<&'static str>,
    /// What `start` says about it.
    pub(crate) start_says: &'static str,
    /// Facts with one of these texts are neither lost nor too many.
    pub(crate) ignored: &'static [&'static str],
    /// The exit status of `stop`, 3 if something could not be restored.
    pub(crate) stop_status: i32,
}

pub(crate) const ROW: Row = Row {
    name: "",
    setup: &[],
    damage: &[],
    noticed: Some(""),
    start_says: "",
    ignored: &[],
    stop_status: 0,
};

/// The command after the damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    Stop,
    ForcedStop,
    /// A start on trial, which is rolled back.
    Trial,
    /// The damage happened during a trial, which is then rolled back.
    DamagedTrial,
}

/// What a cell found wrong, a line each.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn expect(&mut self, so: bool, what: impl FnOnce() -> String) {
        if !so {
            self.0.push(what());
        }
    }

    fn exits(&mut self, outcome: &Outcome, code: i32, words: &str) {
        self.expect(outcome.code == Some(code), || {
            format!(
                "{words}: exit status {:?}, not {code}: {}{}",
                outcome.code, outcome.stdout, outcome.stderr
            )
        });
    }
}

/// Runs one cell, and returns what is wrong.
pub(crate) fn run(host: &Host, row: &Row, action: Action) -> Vec<String> {
    let mut findings = Findings::default();
    host.reset();
    row.setup.iter().for_each(|line| host.run(line));
    let before = Before::of(host, row);
    let first = if action == Action::DamagedTrial { ON_TRIAL } else { "network start" };
    findings.exits(&host.xennet(first), 0, "the first start");
    before.is_on_bridge(&mut findings, "after the first start");
    if !findings.0.is_empty() {
        return findings.0;
    }
    row.damage.iter().for_each(|line| host.run(line));
    let before = Before { others: others(host), ..before };
    if let (Some(text), true) = (row.noticed, action != Action::DamagedTrial) {
        let check = host.xennet("network check");
        findings.exits(&check, 1, "check");
        let said = format!("{}{}", check.stdout, check.stderr);
        findings.expect(said.contains(text), || format!("check does not say {text}: {said}"));
    }
    match action {
        Action::Start => {
            let start = host.xennet("network start");
            findings.exits(&start, 0, "start");
            findings.expect(start.stderr.contains(row.start_says), || {
                format!("start does not say {}: {}", row.start_says, start.stderr)
            });
            before.is_on_bridge(&mut findings, "after start");
            findings.exits(&host.xennet("network check"), 0, "check after start");
            let second = host.xennet("network start -v");
            findings.expect(second.stderr.is_empty(), || {
                format!("the second start: {}", second.stderr)
            });
            stop(
                host,
                &before,
                &mut findings,
                "network stop",
                "after start and stop",
                row.stop_status,
            );
        }
        Action::Stop => {
            stop(host, &before, &mut findings, "network stop", "after stop", row.stop_status);
        }
        Action::ForcedStop => {
            stop(
                host,
                &before,
                &mut findings,
                "network stop --force",
                "after stop --force",
                row.stop_status,
            );
        }
        Action::Trial => {
            findings.exits(&host.xennet(ON_TRIAL), 0, "start on trial");
            before.is_on_bridge(&mut findings, "on trial");
            if host.roll_back() {
                before.is_whole(&mut findings, "after the roll back");
            }
            stop(
                host,
                &before,
                &mut findings,
                "network stop",
                "after the trial and stop",
                row.stop_status,
            );
        }
        Action::DamagedTrial => {
            findings.expect(host.roll_back(), || "nothing is on trial".to_owned());
            before.is_on_uplink(&mut findings, "after the roll back");
            stop(host, &before, &mut findings, "network stop", "after the roll back and stop", 0);
        }
    }
    findings.0
}

fn stop(
    host: &Host,
    before: &Before<'_>,
    findings: &mut Findings,
    words: &str,
    when: &str,
    code: i32,
) {
    findings.exits(&host.xennet(words), code, words);
    before.is_on_uplink(findings, when);
    // The record stays for another stop, which has nothing more to do.
    findings.expect(code == 3 || !host.lan.recorded(), || format!("{when}: the record stays"));
    let second = host.xennet("network stop -v");
    findings.exits(&second, 0, "the second stop");
    findings.expect(!host.lan.recorded(), || format!("{when}: the record stays for ever"));
    findings.expect(second.stderr.is_empty(), || format!("the second stop: {}", second.stderr));
}

/// What there was before the first start, and on interfaces that are no business of xennet's after the damage.
pub(crate) struct Before<'a> {
    host: &'a Host,
    row: &'a Row,
    facts: Facts,
    settings: BTreeMap<&'static str, String>,
    others: BTreeMap<String, Facts>,
}

impl<'a> Before<'a> {
    pub(crate) fn of(host: &'a Host, row: &'a Row) -> Self {
        let (facts, settings) = (host.facts("eth0"), settings("eth0"));
        Self { host, row, facts, settings, others: BTreeMap::new() }
    }

    /// Fails with what is wrong, unless all is on the uplink.
    pub(crate) fn assert_on_uplink(&self, when: &str) {
        let mut findings = Findings::default();
        self.is_on_uplink(&mut findings, when);
        assert!(findings.0.is_empty(), "{}", findings.0.join("\n"));
    }

    /// Whether an interface has all that the host had, and perhaps more, and the host reaches the router.
    pub(crate) fn has_all(&self, link: &str) -> Result<(), String> {
        let mut lost = self.facts.clone();
        for fact in self.host.facts(link) {
            lost.retain(|one| *one != fact);
        }
        if !lost.is_empty() {
            return Err(format!("{link} lacks {}", lost.join("; ")));
        }
        let reaches = reaches_the_world(10);
        if reaches { Ok(()) } else { Err("the host reaches nobody".to_owned()) }
    }

    /// Fails with what is wrong, unless nothing was changed: there is no bridge, and a host that was cut off may be so.
    pub(crate) fn assert_unmoved(&self) {
        assert_eq!(self.host.facts("eth0"), self.facts);
        assert!(self.host.link("xenbr0").is_null(), "there is a bridge");
    }

    /// The same of the bridge.
    pub(crate) fn assert_on_bridge(&self, when: &str) {
        let mut findings = Findings::default();
        self.is_on_bridge(&mut findings, when);
        assert!(findings.0.is_empty(), "{}", findings.0.join("\n"));
    }

    fn is_on_bridge(&self, findings: &mut Findings, when: &str) {
        self.is_on(findings, when, "xenbr0", "eth0");
        let uplink = self.host.link("eth0");
        findings
            .expect(uplink["master"] == "xenbr0", || format!("{when}: eth0 is no port of xenbr0"));
    }

    fn is_on_uplink(&self, findings: &mut Findings, when: &str) {
        self.is_on(findings, when, "eth0", "xenbr0");
        let uplink = self.host.link("eth0");
        findings.expect(uplink.get("master").is_none(), || {
            format!("{when}: eth0 is a port of {}", uplink["master"])
        });
        let bridge = !self.host.link("xenbr0").is_null();
        findings.expect(!bridge, || format!("{when}: xenbr0 is still there"));
    }

    /// On the one or the other: a roll back goes to what was before the start that was on trial.
    fn is_whole(&self, findings: &mut Findings, when: &str) {
        let [mut on_uplink, mut on_bridge] = [Findings::default(), Findings::default()];
        self.is_on_uplink(&mut on_uplink, when);
        if !on_uplink.0.is_empty() {
            self.is_on_bridge(&mut on_bridge, when);
            if !on_bridge.0.is_empty() {
                findings.0.push(format!(
                    "{when}: neither on eth0 ({}) nor on xenbr0 ({})",
                    on_uplink.0.join("; "),
                    on_bridge.0.join("; ")
                ));
            }
        }
    }

    fn is_on(&self, findings: &mut Findings, when: &str, link: &str, other: &str) {
        let ignored = |fact: &&String| self.row.ignored.iter().any(|text| fact.contains(text));
        let facts = self.host.facts(link);
        let mut lost = self.facts.clone();
        for fact in &facts {
            match lost.iter().position(|one| one == fact) {
                Some(n) => {
                    lost.remove(n);
                }
                None => {
                    findings.expect(ignored(&fact), || format!("{when}: {link} has, too: {fact}"));
                }
            }
        }
        lost.retain(|fact| !ignored(&fact));
        for fact in &lost {
            findings.0.push(format!("{when}: {link} lacks {fact}"));
        }
        for fact in self.host.facts(other).iter().filter(|fact| !ignored(fact)) {
            findings.0.push(format!("{when}: {other} still has {fact}"));
        }
        let settings = settings(link);
        for (key, value) in &self.settings {
            let is = settings.get(key);
            findings.expect(is == Some(value), || {
                format!("{when}: {link}: {key} is {is:?}, was {value}")
            });
        }
        for (other, facts) in &self.others {
            let is = self.host.facts(other);
            findings.expect(is == *facts, || format!("{when}: {other} was {facts:#?}, is {is:#?}"));
        }
        findings.expect(self.host.link(link)["flags"].to_string().contains("\"UP\""), || {
            format!("{when}: {link} is down")
        });
        // The first packets of a new way may be lost.
        let tries = if lost.is_empty() { 10 } else { 3 };
        findings.expect(reaches_the_world(tries), || format!("{when}: the host reaches nobody"));
    }
}

/// What the host has on the interfaces that xennet was not told about.
fn others(host: &Host) -> BTreeMap<String, Facts> {
    let links = host.lan.netns.ip_json("link show");
    let names = links.as_array().into_iter().flatten().filter_map(|link| link["ifname"].as_str());
    let names = names.filter(|name| !["lo", "eth0", "xenbr0"].contains(name));
    names.map(|name| (name.to_owned(), host.facts(name))).collect()
}
