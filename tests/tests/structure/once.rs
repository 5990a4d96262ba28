//! What is written once: tokens that only certain files may have.

use crate::sources::{Crate, is_in, is_test_file};
use crate::tokens::Token;

/// Something that is written in one place.
#[derive(Debug)]
pub(crate) struct Rule {
    what: &'static str,
    /// The tokens that show it, with a space between each two: `Lock :: take`, `"hotplug-status"`. A `*` at the end of
    /// one stands for the rest of its text: `netlink_*`.
    tokens: &'static str,
    /// The files that may have them, or directories with their `/`; each begins with its crate. Tests may, everywhere.
    files: &'static [&'static str],
}

pub(crate) const RULES: &[Rule] = &[
    rule("taking a lock", "Lock :: take", &["xennet-core/src/engine/"]),
    rule("retrying", "may_retry", &["xennet-core/src/engine/mod.rs"]),
    rule(
        "verifying",
        "observe_again",
        &["xennet-core/src/engine/mod.rs", "xennet-core/src/observe/mod.rs"],
    ),
    rule("applying and undoing", "Apply :: new", &["xennet-core/src/engine/mod.rs"]),
    rule("undoing", ". undo (", &["xennet-core/src/engine/mod.rs"]),
    rule("planning an operation", "operation . plan (", &["xennet-core/src/engine/mod.rs"]),
    rule(
        "committing to XenStore",
        ". transaction (",
        &["xennet-core/src/engine/publish.rs", "xennet-cli/src/demo/"],
    ),
    rule("netlink messages", "netlink_*", &["xennet-core/src/kernel/"]),
    rule(
        "unsafe code",
        "unsafe {",
        &["xennet-core/src/kernel/syscall.rs", "xennet-cli/src/", "xennet-ffi/src/"],
    ),
];

const fn rule(what: &'static str, tokens: &'static str, files: &'static [&'static str]) -> Rule {
    Rule { what, tokens, files }
}

/// One line for each place in a crate (`name`) that a rule does not allow.
pub(crate) fn violations(name: &str, krate: &Crate, rules: &[Rule]) -> Vec<String> {
    let mut found = Vec::new();
    for rule in rules {
        let pattern: Vec<&str> = rule.tokens.split(' ').collect();
        for file in krate.files.values() {
            let path = format!("{name}/src/{}", file.name);
            if is_test_file(&file.name) || rule.files.iter().any(|allowed| is_in(&path, allowed)) {
                continue;
            }
            let places = file.tokens.windows(pattern.len()).filter(|tokens| {
                !tokens[0].test
                    && tokens.iter().zip(&pattern).all(|(token, part)| is_like(token, part))
            });
            found.extend(places.map(|tokens| {
                format!(
                    "{path}:{}: {} is written once, in {:?}",
                    tokens[0].line, rule.what, rule.files
                )
            }));
        }
    }
    found
}

fn is_like(token: &Token, part: &str) -> bool {
    match part.strip_suffix('*') {
        Some(start) if !start.is_empty() => token.text.starts_with(start),
        _ => token.text == part,
    }
}

#[test]
fn tokens_in_another_file_are_found() {
    let lock = rule("the lock", "Lock :: take", &["core/src/engine/lock.rs"]);
    let status = rule("the status", "\"hotplug-status\"", &["core/src/engine/"]);
    let rules = [lock, status, rule("netlink", "netlink_*", &["core/src/kernel/"])];
    let found = |file: &str, source: &str| {
        violations("core", &Crate::new([("lib.rs", ""), (file, source)]), &rules)
    };
    assert_eq!(
        found("ops/attach.rs", "fn f() {\n    let lock = Lock::take(dir)?;\n}"),
        ["core/src/ops/attach.rs:2: the lock is written once, in [\"core/src/engine/lock.rs\"]"]
    );
    for (file, source, count) in [
        ("ops/attach.rs", "fn f() { crate::engine::Lock::take(dir)?; Lock::take(dir)?; }", 2),
        ("ops/attach.rs", "const KEY: &str = \"hotplug-status\";", 1),
        ("ops/attach.rs", "use netlink_sys::Socket;", 1),
        ("engine/lock.rs", "fn f() { Lock::take(dir)?; }", 0),
        ("engine/mod.rs", "fn f() { Lock::take(dir)?; }", 1),
        ("engine/mod.rs", "const KEY: &str = \"hotplug-status\";", 0),
        ("ops/attach.rs", "// Lock::take\nfn f() { Lock::is_held(dir); text(\"Lock::take\") }", 0),
        ("ops/attach.rs", "#[cfg(test)] mod tests { fn f() { Lock::take(dir)?; } }", 0),
        ("ops/tests.rs", "fn f() { Lock::take(dir)?; }", 0),
    ] {
        assert_eq!(found(file, source).len(), count, "{file}: {source}");
    }
}
