//! The legacy iptables, of which only a policy is ever read.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::process::Command;

use xennet_core::kernel::LegacyTables;
use xennet_core::types::Family;
use xennet_tests::netns::Netns;

fn iptables(family: Family, words: &str) {
    let program = match family {
        Family::V4 => "iptables-legacy",
        Family::V6 => "ip6tables-legacy",
    };
    let output = Command::new(program).args(words.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{program} {words}: {output:?}");
}

#[test]
fn a_policy_is_read_whatever_rules_there_are() {
    let _netns = Netns::new();
    for family in [Family::V4, Family::V6] {
        assert!(!LegacyTables::default().forward_drops(family).unwrap(), "nobody uses it");
        iptables(family, "-P FORWARD DROP");
        assert!(LegacyTables::default().forward_drops(family).unwrap());
        for port in 0..30 {
            iptables(family, &format!("-A FORWARD -p tcp --dport {port} -j ACCEPT"));
            iptables(family, &format!("-A INPUT -p tcp --dport {port} -j DROP"));
        }
        assert!(LegacyTables::default().forward_drops(family).unwrap());
        iptables(family, "-P FORWARD ACCEPT");
        assert!(!LegacyTables::default().forward_drops(family).unwrap());
    }
}
