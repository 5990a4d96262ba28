//! Values that nobody in his right mind would set, in every place that the command reads: they are refused by name, or
//! taken literally where they are legal, and never do anything else.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;

use xennet_core::config::VifConfig;
use xennet_core::types::IfName;
use xennet_core::xenstore::XenStore;
use xennet_tests::hotplug::{Dom0, Script, VIF};

const ONLINE: [&str; 2] = ["online", "type_if=vif"];

fn hostile() -> Vec<Vec<u8>> {
    let many = |item: fn(u32) -> String, count: u32| (1..=count).map(item).collect::<String>();
    let mut values: Vec<Vec<u8>> = [
        ";rm -rf /",
        "x;reboot",
        "$(reboot)",
        "`reboot`",
        "$(re boot)",
        "../../../etc/passwd",
        "..",
        "/",
        "%s%n",
        "web%d",
        "a=b",
        "-",
        "--help",
        "0123456789012345",
        " ",
        "\n",
        "xenbr0\nhotplug-status = \"connected\"",
        "\u{1b}[2J",
        "\u{202e}0rbnex",
        "99999999999999999999",
        "-1",
        "0x10",
        "1.5",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    values.extend([
        b"\0".to_vec(),
        b"xenbr0\0".to_vec(),
        b"\xff\xfe".to_vec(),
        b"xenbr0\xc3".to_vec(),
        vec![b'a'; 3900],
        vec![b'1'; 3900],
        many(|n| format!("10.0.{}.{} ", n / 250, n % 250 + 1), 300).into_bytes(),
        many(|n| format!("{n}/"), 700).into_bytes(),
        many(|n| format!("xenbr0:{n}:"), 300).into_bytes(),
    ]);
    values
}

/// Whether it is a name that an interface may have, however odd.
fn a_name(value: &[u8]) -> bool {
    IfName::from_bytes(value).is_ok()
}

fn assert_one_clear_line(text: &str, key: &str, value: &[u8]) {
    let shown = value.escape_ascii();
    assert_eq!(text.lines().count(), 1, "{key}={shown}: {text:?}");
    assert!(text.len() < 600, "{key}={shown}: {text}");
    assert!(text.trim_end().chars().all(|c| !c.is_control()), "{key}={shown}: {text:?}");
    assert!(text.contains(key), "{key}={shown}: {text}");
}

#[test]
fn in_xenstore() {
    let dom0 = Dom0::new();
    let mut store = XenStore::connect(&dom0.store.socket()).unwrap();
    // The first vif records the MTU of the bridge.
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.forget(VIF);
    dom0.boot(VIF, &[]);
    let before = dom0.links();
    for key in VifConfig::KEYS {
        let path = format!("{}/{key}", dom0.backend(VIF));
        let good = store.read(&path).unwrap();
        for value in hostile() {
            if a_name(&value) && ["vifname", "gatewaydev"].contains(&key) {
                continue;
            }
            store.write(&path, &value).unwrap();
            let outcome = dom0.online(Script::Ours, VIF);
            let shown = value.escape_ascii();
            if outcome.code == Some(0) {
                // White space alone is no address.
                assert!(key == "ip" && value.trim_ascii().is_empty(), "{key}={shown} was taken");
                dom0.forget(VIF);
                dom0.boot(VIF, &[]);
                continue;
            }
            assert_eq!(outcome.code, Some(1), "{key}={shown}: {}", outcome.stderr);
            let told = String::from_utf8(
                store.read(&format!("{}/hotplug-error", dom0.backend(VIF))).unwrap().unwrap(),
            );
            assert_one_clear_line(&told.unwrap(), key, &value);
            assert_one_clear_line(&outcome.stderr, key, &value);
            assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("error"));
            assert_eq!(dom0.links(), before, "{key}={shown}");
        }
        match good {
            Some(good) => store.write(&path, good).unwrap(),
            None => store.remove(&path).unwrap(),
        }
    }
    // None of it has left a trace, and an unplug minds none of it either.
    dom0.online(Script::Ours, VIF).succeeded();
    for key in VifConfig::KEYS {
        store.write(&format!("{}/{key}", dom0.backend(VIF)), b"\xff;$(reboot)\0").unwrap();
    }
    dom0.offline(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.links().get("link vif1.0 master"), None);
}

#[test]
fn an_odd_name_is_only_a_name() {
    let dom0 = Dom0::new();
    for name in ["$(reboot)", "`reboot`", "x;reboot"] {
        dom0.forget(VIF);
        dom0.boot(VIF, &[("vifname", name)]);
        dom0.online(Script::Ours, VIF).succeeded();
        assert_eq!(dom0.links()[&format!("link {name} master")], "xenbr0");
        dom0.offline(Script::Ours, VIF).succeeded();
        assert_eq!(dom0.links().get(&format!("link {name} master")), None);
    }
}

#[test]
fn an_empty_value_is_no_value() {
    let dom0 = Dom0::new();
    for key in VifConfig::KEYS {
        dom0.forget(VIF);
        dom0.boot(VIF, &[(key, "")]);
        dom0.online(Script::Ours, VIF).succeeded();
        assert_eq!(dom0.links()["link vif1.0 master"], "xenbr0", "{key}");
    }
}

/// Runs it with one more argument or variable, and judges: it plugs as if that were not there, or says what is wrong.
fn judge(dom0: &Dom0, key: &str, value: &[u8], what: &str, mut command: Command) {
    let shown = format!("{what} {key}={}", value.get(..40).unwrap_or(value).escape_ascii());
    let output = command.output().unwrap_or_else(|e| panic!("{shown}: {e}"));
    let said = String::from_utf8(output.stderr).unwrap();
    let links = dom0.links();
    let master = links.get("link vif1.0 master");
    match output.status.code() {
        Some(0) => assert!(said.is_empty(), "{shown}: {said}"),
        Some(1) => {
            assert_one_clear_line(&said, key, value);
            assert_eq!(master, None, "{shown}");
        }
        other => panic!("{shown}: {other:?}: {said}"),
    }
    if master.is_some() {
        dom0.offline(Script::Ours, VIF).succeeded();
    }
}

#[test]
fn in_arguments_and_environment() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    let mut values = hostile();
    // An argument has no NUL, and is at most 128 KiB.
    values.retain(|value| !value.contains(&0));
    values.push(vec![b'a'; 120 << 10]);
    let context = ["type_if", "vif", "INTERFACE", "XENBUS_PATH", "netdev"];
    for key in VifConfig::KEYS.into_iter().chain(context) {
        for value in &values {
            if key == "vifname" && a_name(value) {
                continue;
            }
            let mut argument = OsString::from(format!("{key}="));
            argument.push(OsString::from_vec(value.clone()));
            let mut command = dom0.command(Script::Ours, VIF, &ONLINE, &[]);
            command.arg(argument);
            // What it is refused for may be found under libxl's other name.
            let named = if key == "netdev" { "gatewaydev" } else { key };
            judge(&dom0, named, value, "argument", command);

            let mut command = dom0.command(Script::Ours, VIF, &["online"], &[]);
            command.env(key, OsString::from_vec(value.clone()));
            judge(&dom0, named, value, "environment", command);
        }
    }
    // For a call without arguments the other command prints its usage.
    dom0.without_dry_run();
    for words in
        [&["\u{1b}[2J"][..], &["online", "online"], &["online", "=x"], &["online", "PATH=/x"], &[]]
    {
        let outcome = dom0.call(Script::Ours, VIF, words, &[]);
        assert_eq!(outcome.code, Some(1), "{words:?}");
        assert_one_clear_line(&outcome.stderr, "", b"");
    }
}
