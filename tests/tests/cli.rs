//! The command as a person uses it.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::process::Command;

use serde_json::{Value, json};
use xennet_tests::hotplug::{Dom0, Outcome, Script, VIF, xennet};

#[test]
fn plugs_and_unplugs_a_vif() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    silent(&dom0.xennet("vif online 1.0"));
    assert_eq!(dom0.links()["link vif1.0 master"], "xenbr0");
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
    silent(&dom0.xennet("vif offline 1.0"));
    assert_eq!(dom0.links().get("link vif1.0 master"), None);
}

#[test]
fn what_a_person_says_overrides_xenstore_and_changes_a_vif_in_place() {
    let dom0 = Dom0::new();
    dom0.netns.make_bridge("xenbr1");
    dom0.boot(VIF, &[("mtu", "1400")]);
    dom0.online(Script::Ours, VIF).succeeded();
    let outcome = dom0.xennet("vif online 1.0 mtu=1300 bridge=xenbr1");
    outcome.succeeded();
    let notice = "backend/vif/1/0/bridge, backend/vif/1/0/mtu: written to XenStore";
    assert!(outcome.stderr.contains(notice), "{outcome:?}");
    let links = dom0.links();
    assert_eq!(links["link vif1.0 mtu"], "1300");
    assert_eq!(links["link vif1.0 master"], "xenbr1");
    assert_eq!(dom0.read("/local/domain/1/device/vif/0/mtu").as_deref(), Some("1300"));
}

#[test]
fn plugs_a_tap() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.make_tap(VIF);
    silent(&dom0.xennet("vif online 1.0 --tap"));
    let links = dom0.links();
    assert_eq!(links["link vif1.0-emu master"], "xenbr0");
    assert_eq!(links.get("link vif1.0 master"), None);
    silent(&dom0.xennet("vif offline 1.0 --tap"));
    assert_eq!(dom0.links().get("link vif1.0-emu master"), None);
}

#[test]
fn does_without_xenstore() {
    let dom0 = Dom0::new();
    dom0.make_vif(VIF);
    let before = dom0.state();
    silent(&dom0.xennet("vif online 1.0 --no-store bridge=xenbr0"));
    assert_eq!(dom0.links()["link vif1.0 master"], "xenbr0");
    let list = dom0.xennet("vif list --no-store");
    assert!(list.stdout.lines().nth(1).unwrap().starts_with("1.0          vif1.0          xenbr0"));
    silent(&dom0.xennet("vif offline 1.0 --no-store"));
    let stores = |state: xennet_tests::hotplug::State| {
        state.into_iter().filter(|(fact, _)| fact.starts_with("store")).collect::<Vec<_>>()
    };
    assert_eq!(stores(before), stores(dom0.state()));
}

#[test]
fn a_dry_run_touches_nothing_and_says_what_would_happen() {
    let dom0 = Dom0::new();
    dom0.hook("note.hook", "echo ran >>ran");
    dom0.boot(VIF, &[("vifname", "web"), ("mtu", "1400"), ("hotplug-error", "old")]);
    dom0.make_tap(VIF);
    for words in [
        "vif online 1.0",
        "vif online 1.0 mtu=1300",
        "vif online 1.0 --tap",
        "vif offline 1.0 --tap",
        "vif offline 1.0",
        "bridge create xenbr9 --mtu 9000 --mac 02:00:00:00:00:09",
        "bridge create xenbr9",
        "bridge delete xenbr9",
        "bridge delete xenbr9",
    ] {
        let (before, ran) = (dom0.state(), dom0.written("ran"));
        let locks = dom0.run_dir().read_dir().map_or(0, Iterator::count);
        let dry = dom0.xennet(&format!("--dry-run {words}"));
        dry.succeeded();
        let warnings: Vec<&str> = dry
            .stderr
            .lines()
            .map(|line| line.strip_prefix("xennet: warning: ").expect("a warning"))
            .collect();
        // What is set here is kept for the next call, and the command says so.
        assert_eq!(warnings.len(), usize::from(words == "vif online 1.0 mtu=1300"), "{warnings:?}");
        let json = json_of(&dom0.xennet(&format!("--dry-run --json {words}")));
        let lines: Vec<&str> = dry.stdout.lines().collect();
        assert_eq!(json, json!({ "dry_run": true, "changes": lines, "warnings": warnings }));
        assert_eq!(before, dom0.state(), "{words}: a dry run did something");
        assert_eq!(dom0.written("ran"), ran);
        assert_eq!(dom0.run_dir().read_dir().map_or(0, Iterator::count), locks);

        let done = dom0.xennet(&format!("-v {words}"));
        done.succeeded();
        assert_eq!(done.stdout, "");
        assert_eq!(dry.stderr + &dry.stdout, done.stderr, "{words}: something else was done");
    }
}

#[test]
fn a_second_online_has_nothing_to_do() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    assert_ne!(dom0.xennet("vif online 1.0 -v").stderr, "");
    assert_eq!(dom0.xennet("vif online 1.0 -v").stderr, "");
    assert_eq!(
        json_of(&dom0.xennet("vif online 1.0 --json")),
        json!({ "dry_run": false, "changes": [], "warnings": [] })
    );
}

#[test]
fn shows_and_lists_vifs() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[("mtu", "1400"), ("rate", "25000,20000")]);
    dom0.boot("2.1".parse().unwrap(), &[("bridge", "nope")]);
    dom0.fill_store("10.0".parse().unwrap(), &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.netns.ip("link set vif1.0 mtu 1300");

    let show = dom0.xennet("vif show 1.0").stdout;
    for word in [
        "vif1.0: up, carrier, mtu 1300, master xenbr0\n",
        "backend  backend/vif/1/0 (connected)\n",
        "wanted   bridge=xenbr0, mtu=1400, mac=00:16:3e:01:02:03, rate=25000,20000\n",
        "drift    1 changes\n           link set dev vif1.0 mtu 1400\n",
    ] {
        assert!(show.contains(word), "{word:?} is not in {show}");
    }
    let json = json_of(&dom0.xennet("vif show 1.0 --json"));
    assert_eq!(json["vif"], "1.0");
    assert_eq!(json["link"]["mtu"], 1300);
    assert_eq!(json["master"], "xenbr0");
    assert_eq!(json["hotplug_status"], "connected");
    assert_eq!(json["drift"], json!(["link set dev vif1.0 mtu 1400"]));
    assert_eq!(json["error"], Value::Null);

    let list = dom0.xennet("vif list").stdout;
    let rows: Vec<Vec<&str>> = list.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["VIF", "INTERFACE", "MASTER", "MTU", "STATUS", "STATE"]);
    assert_eq!(rows[1], ["1.0", "vif1.0", "xenbr0", "1300", "connected", "1", "change", "pending"]);
    assert!(
        rows[2].starts_with(&["2.1", "vif2.1", "-", "1500", "no", "status", "bridge", "nope:"])
    );
    assert!(
        rows[3].starts_with(&["10.0", "-", "-", "-", "no", "status", "no", "interface"]),
        "{list}"
    );
    assert_eq!(rows.len(), 4);
    let json = json_of(&dom0.xennet("vif list --json"));
    let ids: Vec<&Value> = json.as_array().unwrap().iter().map(|vif| &vif["vif"]).collect();
    assert_eq!(ids, ["1.0", "2.1", "10.0"]);
    assert!(json[1]["error"].as_str().unwrap().contains("nope"));

    let unknown = dom0.xennet("vif show 7.0");
    assert!(unknown.stdout.contains("vif7.0: no such interface"), "{unknown:?}");
}

#[test]
fn makes_shows_lists_and_deletes_bridges() {
    let dom0 = Dom0::new();
    silent(&dom0.xennet("bridge create xenbr9 --mtu 9000 --mac 02:00:00:00:00:09 --stp"));
    let link = dom0.netns.link("xenbr9");
    assert_eq!((&link["mtu"], &link["address"]), (&json!(9000), &json!("02:00:00:00:00:09")));
    assert_eq!(link["linkinfo"]["info_data"]["stp_state"], 1);
    assert!(link["flags"].as_array().unwrap().contains(&json!("UP")));
    // One that exists keeps its settings: whoever asks for others is told.
    silent(&dom0.xennet("bridge create xenbr9"));
    failed(&dom0.xennet("bridge create xenbr9 --mtu 1400"), 1, "`ip link set dev xenbr9 mtu 1400`");
    failed(
        &dom0.xennet("bridge create xenbr9 --vlan-filtering"),
        1,
        "exists with vlan_filtering 0",
    );
    // A smaller port does not take the bridge down with it.
    dom0.netns.veth("small", "peer");
    dom0.netns.ip("link set small master xenbr9");
    assert_eq!(dom0.netns.link("xenbr9")["mtu"], 9000);
    dom0.netns.ip("link delete small");

    let show = dom0.xennet("bridge show xenbr0").stdout;
    let expected =
        "xenbr0: up, mtu 1500, mac 02:00:00:00:00:01, 1 ports\n  uplink          up, mtu 1500\n";
    assert_eq!(show, expected);
    let json = json_of(&dom0.xennet("bridge show xenbr0 --json"));
    assert_eq!((&json["name"], &json["ports"]), (&json!("xenbr0"), &json!(["uplink"])));
    let json = json_of(&dom0.xennet("bridge list --json"));
    let names: Vec<&Value> =
        json.as_array().unwrap().iter().map(|bridge| &bridge["name"]).collect();
    assert_eq!(names, ["xenbr0", "xenbr9"]);
    assert_eq!(dom0.xennet("bridge list").stdout.matches("xenbr").count(), 2);

    failed(&dom0.xennet("bridge delete xenbr0"), 1, "still has ports (uplink)");
    failed(&dom0.xennet("bridge delete uplink"), 1, "not a Linux bridge");
    failed(&dom0.xennet("bridge create uplink"), 1, "not a Linux bridge");
    failed(&dom0.xennet("bridge show xenbr5"), 1, "create it with `xennet bridge create xenbr5`");
    silent(&dom0.xennet("bridge delete xenbr0 --force"));
    silent(&dom0.xennet("bridge delete xenbr9"));
    silent(&dom0.xennet("bridge delete xenbr9"));
    assert_eq!(json_of(&dom0.xennet("bridge list --json")), json!([]));
}

#[test]
fn an_error_is_one_line_that_says_what_to_do() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[("bridge", "nope")]);
    dom0.fill_store("3.0".parse().unwrap(), &[("mtu", "12")]);
    for (words, why) in [
        (
            "vif online 1.0",
            "bridge nope: no such interface; create it with `xennet bridge create nope`",
        ),
        ("vif online 1.0 bridge=uplink", "not a Linux bridge; correct bridge="),
        ("vif online 1.0 bridge=xenbr0 vifname=uplink", "choose another vifname="),
        ("vif online 1.0 bridge=xenbr0 vlan=5", "vlan_filtering 1`, or drop vlan="),
        ("vif online 2.0", "is the guest running? Without XenStore, use --no-store"),
        ("vif online 3.0", "mtu \"12\": expected a number of bytes"),
    ] {
        failed(&dom0.xennet(words), 1, why);
    }
    for (words, why) in [
        ("vif online 1.0 mtu=12", "mtu \"12\": expected"),
        ("vif online 1.0 brigde=xenbr0", "key \"brigde\": expected one of bridge, vifname"),
        ("hotplug online", "neither XENBUS_PATH nor vif is set"),
    ] {
        failed(&dom0.xennet(words), 2, why);
    }
    // These are the argument parser's own: it may take more lines.
    for words in
        ["", "vif", "vif online", "vif online x", "vif online 1.0 mtu", "frobnicate", "--no-such"]
    {
        let outcome = dom0.xennet(words);
        assert_eq!(outcome.code, Some(2), "{words}: {outcome:?}");
        assert!(
            outcome.stderr.contains("Usage: ") || outcome.stderr.contains("--help"),
            "{outcome:?}"
        );
        assert_eq!(outcome.stdout, "");
    }
}

#[test]
fn says_when_there_is_no_xenstore() {
    let dom0 = Dom0::new();
    dom0.make_vif(VIF);
    for words in ["vif online 1.0", "vif offline 1.0", "vif show 1.0", "vif list"] {
        let output = Command::new(xennet())
            .args(words.split(' '))
            .env("XENSTORED_PATH", dom0.dir().join("nowhere"))
            .env("XENNET_RUN_DIR", dom0.run_dir())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(
            stderr.contains("nowhere: No such file or directory (errno 2); start xenstored"),
            "{stderr}"
        );
    }
}

#[test]
fn the_hotplug_command_is_the_script() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.make_tap(VIF);
    let call = |options: &[&str], words: &[&str]| {
        let script = dom0.command(Script::Ours, VIF, words, &[]);
        let mut command = Command::new(xennet());
        command.args(options).arg("hotplug").args(script.get_args()).env_clear();
        command.envs(script.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let before = dom0.state();
    let plan = call(&["--dry-run"], &["online", "type_if=vif"]);
    assert!(plan.ends_with("xenstore-write backend/vif/1/0/hotplug-status connected\n"), "{plan}");
    assert_eq!(before, dom0.state());
    call(&[], &["online", "type_if=vif"]);
    call(&[], &["add", "type_if=tap"]);
    let links = dom0.links();
    assert_eq!(links["link vif1.0 master"], "xenbr0");
    assert_eq!(links["link vif1.0-emu master"], "xenbr0");
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
    assert_eq!(call(&["--dry-run"], &["online", "type_if=tap"]), "");
    call(&[], &["remove", "type_if=tap"]);
    call(&[], &["offline", "type_if=vif"]);
    assert_eq!(dom0.links().get("link vif1.0 master"), None);
}

#[test]
fn tells_its_version_and_its_help() {
    let dom0 = Dom0::without_bridge();
    let version = dom0.xennet("--version");
    assert_eq!(version.stdout, format!("xennet {}\n", env!("CARGO_PKG_VERSION")));
    let help = dom0.xennet("--help");
    help.succeeded();
    assert!(help.stdout.contains("Exit status: 0 done, 1 failed, 2 wrong usage."), "{help:?}");
}

fn silent(outcome: &Outcome) {
    outcome.succeeded();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
}

fn failed(outcome: &Outcome, code: i32, why: &str) {
    assert_eq!(outcome.code, Some(code), "{why}: {outcome:?}");
    assert!(outcome.stderr.contains(why), "{why:?} is not in {:?}", outcome.stderr);
    assert!(outcome.stderr.starts_with("xennet: "), "{:?}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{:?}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
}

fn json_of(outcome: &Outcome) -> Value {
    outcome.succeeded();
    assert_eq!(outcome.stderr, "");
    serde_json::from_str(&outcome.stdout).unwrap()
}
