//! The commands that README and docs show: each is one that the command line accepts.

use std::fs;

use clap::error::ErrorKind;
use xennet_tests::c::root;

use crate::args;

#[test]
fn documented_commands_have_existing_options() {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let mut faults = Vec::new();
    for page in pages.chain([root().join("README.md"), root().join("tests/xen/README.md")]) {
        for command in commands(&fs::read_to_string(&page).unwrap()) {
            let Err(error) = args::definition().try_get_matches_from(command.split_whitespace())
            else {
                continue;
            };
            match error.kind() {
                ErrorKind::UnknownArgument
                | ErrorKind::InvalidSubcommand
                | ErrorKind::InvalidValue => {
                    faults.push(format!("{}: {command}: {error}", page.display()));
                }
                // One that only names a command leaves out what it requires.
                _ => {}
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The calls of xennet in blocks of code and in code spans.
fn commands(page: &str) -> Vec<String> {
    let mut block = None;
    let mut commands = Vec::new();
    for line in page.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = block.is_none().then_some(language);
            continue;
        }
        match block {
            Some("sh" | "console") => {
                let line = line.split(" #").next().unwrap_or_default().replace("2>", ">");
                commands.extend(line.split(['|', ';', '&', '>', '(', ')']).filter_map(call));
            }
            Some(_) => {}
            None => commands.extend(line.split('`').skip(1).step_by(2).filter_map(call)),
        }
    }
    commands
}

/// A call of xennet, without a prompt and `sudo` before it.
fn call(text: &str) -> Option<String> {
    let text =
        text.trim().trim_start_matches("# ").trim_start_matches("$ ").trim_start_matches("do ");
    let text = text.trim_start_matches("sudo ");
    // A message of the command begins with its name, too.
    (text.starts_with("xennet ") && !text.contains("...")).then(|| text.replace('\'', ""))
}
