//! dist/xennet.toml: nothing until it is uncommented, and then everything.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const EXAMPLE: &str = include_str!("../../../../../dist/xennet.toml");
/// A key that is near to none.
const STRANGE: &str = "quite_another_thing_altogether = 1";

/// Its keys as they would be written: "#" and no space.
fn uncommented() -> Vec<&'static str> {
    let key =
        |line: &'static str| line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', '#']));
    EXAMPLE.lines().filter_map(key).filter(|line| !line.is_empty()).collect()
}

/// The keys that a table may have, as its error message tells them.
fn known(text: &str) -> BTreeSet<String> {
    let error = NetworkConfig::from_toml(text).unwrap_err();
    let keys = error.message.split_once("expected one of ").unwrap_or_else(|| panic!("{error}")).1;
    keys.split(", ").map(str::to_owned).collect()
}

#[test]
fn it_says_nothing_until_it_is_uncommented() {
    assert_eq!(NetworkConfig::from_toml(EXAMPLE), Ok(NetworkConfig::default()));
    let keys = uncommented().join("\n");
    let config = NetworkConfig::from_toml(&keys).unwrap_or_else(|e| panic!("{e}\n{keys}"));
    let counts = (config.bridges.len(), config.routed.len(), config.nat.len(), config.guests.len());
    assert_eq!(counts, (3, 1, 1, 2));
    assert_eq!((config.bonds.len(), config.vlans.len()), (2, 1));
}

#[test]
fn it_has_every_key_that_there_is() {
    let text = uncommented().join("\n");
    let mut tables: BTreeMap<&str, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for table in text.split("\n[").map(|table| table.trim_start_matches('[')) {
        let (title, lines) = table.split_once("]\n").or_else(|| table.split_once("]]\n")).unwrap();
        let title = title.trim_matches(['[', ']']);
        let heading = if text.contains(&format!("[[{title}]]")) {
            format!("[[{title}]]")
        } else {
            format!("[{title}]")
        };
        let (there, possible) = tables.entry(title).or_default();
        there.extend(lines.lines().map(|line| line.split(" = ").next().unwrap().to_owned()));
        // What a table may have can depend on what it is.
        possible.extend(known(&format!("{heading}\n{STRANGE}\n{lines}")));
        for line in lines.lines().filter(|line| line.contains("{ ")) {
            let more = lines.replace(line, &line.replacen("{ ", &format!("{{ {STRANGE}, "), 1));
            for key in known(&format!("{heading}\n{more}")) {
                assert!(line.contains(&format!(" {key} = ")), "{key} is not in {line}");
            }
        }
    }
    assert_eq!(known(STRANGE), tables.keys().map(|title| (*title).to_owned()).collect());
    for (title, (there, possible)) in tables {
        assert_eq!(there, possible, "{title}");
    }
}
