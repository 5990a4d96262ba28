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
}

#[test]
fn it_has_every_key_that_there_is() {
    let mut tables: BTreeMap<&str, (String, BTreeSet<String>)> = BTreeMap::new();
    let mut title = "";
    for line in uncommented() {
        if line.starts_with('[') {
            title = line;
        } else if let Some((key, _)) = line.split_once(" = ") {
            let (text, keys) = tables.entry(title).or_default();
            // Of a table that is there several times, once is enough to be complete.
            if keys.insert(key.to_owned()) && (title, key) != ("[[guest]]", "uuid") {
                text.extend([line, "\n"]);
            }
        }
    }
    let titles = tables.keys().map(|title| title.trim_matches(['[', ']']).to_owned());
    assert_eq!(known(STRANGE), titles.collect());
    for (title, (text, keys)) in &tables {
        assert_eq!(known(&format!("{title}\n{STRANGE}\n{text}")), *keys, "{title}");
    }
    let nat = format!("[[nat]]\n{}", tables["[[nat]]"].0);
    let forward = nat.replace("forward = [{ ", &format!("forward = [{{ {STRANGE}, "));
    for key in known(&forward) {
        assert!(nat.contains(&format!(" {key} = ")), "{key} of forward");
        assert!(EXAMPLE.contains(&format!("{key} (")), "{key} of forward is not explained");
    }
}
