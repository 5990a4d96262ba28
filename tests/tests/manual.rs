//! The manual: xennet.toml(5) is made from the example, libxennet(3) from the header, and all pages please man and mandoc.
//!
//! BLESS=1 writes the pages anew. xennet(8) is made where the command line is, in xennet-cli.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use xennet_tests::c::root;
use xennet_tests::roff::{bold, holds, text};

const PAGES: [&str; 3] = ["xennet.8", "xennet.toml.5", "libxennet.3"];

#[test]
fn the_pages_are_without_fault() {
    for page in PAGES {
        let file = root().join("dist/man").join(page);
        let mut man = Command::new("man");
        man.args(["--warnings=w", "--local-file"]).env("MANWIDTH", "100").env("LC_ALL", "C.UTF-8");
        let mut mandoc = Command::new("mandoc");
        mandoc.args(["-T", "lint", "-W", "warning"]);
        for mut tool in [man, mandoc] {
            let output = tool.arg(&file).output().unwrap_or_else(|e| panic!("{tool:?}: {e}"));
            let complaints = String::from_utf8_lossy(&output.stderr);
            let lint = if tool.get_program() == "mandoc" { &output.stdout[..] } else { &[] };
            let lint = String::from_utf8_lossy(lint);
            assert!(output.status.success() && complaints.is_empty(), "{page}: {complaints}{lint}");
        }
    }
}

#[test]
fn the_page_of_the_configuration_says_what_its_example_says() {
    let example = fs::read_to_string(root().join("dist/xennet.toml")).unwrap();
    holds(&root().join("dist/man/xennet.toml.5"), 0, &keys(&example));
}

#[test]
fn the_page_of_the_library_says_what_its_header_says() {
    let header = fs::read_to_string(root().join("include/libxennet.h")).unwrap();
    let page = root().join("dist/man/libxennet.3");
    let mut comments = documented(&header);
    let (rules, _) = comments.remove(0);
    holds(&page, 0, &prose(&rules.replace("@file libxennet.h\n", "")));
    let mut made = String::new();
    for (comment, code) in comments {
        let code: Vec<String> = code.lines().map(bold).collect();
        made.push_str(if made.is_empty() { "" } else { ".PP\n" });
        write!(made, ".nf\n{}\n.fi\n.RS 4\n{}.RE\n", code.join("\n"), prose(&comment)).unwrap();
    }
    holds(&page, 1, &made);
}

/// The keys of the example, table by table, each with its type and what is said of it.
fn keys(example: &str) -> String {
    let mut made = String::new();
    let mut explained = Vec::new();
    let mut title = String::new();
    for block in example.split("\n\n").skip(1) {
        let (said, keys): (Vec<&str>, Vec<&str>) =
            block.lines().partition(|line| line.starts_with("# "));
        let said: Vec<&str> = said.iter().map(|line| line.get(2..).unwrap()).collect();
        let said = said.join("\n");
        let mut keys = keys.into_iter().map(|line| line.strip_prefix('#').unwrap());
        if let Some(heading) = said.strip_prefix("---- ") {
            let table = keys.next().unwrap();
            // A second one of a kind shows more of it.
            if table != title {
                write!(made, ".SS {}\n{}", text(table), prose(heading)).unwrap();
                table.clone_into(&mut title);
            }
            for key in keys {
                let name = key.split(" = ").next().unwrap();
                let known = |table: &str| explained.contains(&(table.to_owned(), name.to_owned()));
                // What is a port's is explained with the bridge.
                assert!(known(&title) || known("[[bridge]]"), "{title}: {key} is not explained");
            }
            continue;
        }
        let line = keys.next().unwrap_or_else(|| panic!("this explains nothing: {said}"));
        let (name, value) = line.split_once(" = ").unwrap();
        let known = (title.clone(), name.to_owned());
        let whole =
            said.contains("Default: ") || said.contains("Required") || explained.contains(&known);
        assert!(whole, "{title}: {name}: neither a default nor required: {said}");
        explained.push(known);
        writeln!(made, ".TP\n{} (\\fI{}\\fR)", bold(name), kind(value)).unwrap();
        write!(made, "{}.IP\n.EX\n{}\n.EE\n", prose(&said), text(line)).unwrap();
        for line in keys {
            let name = line.split(" = ").next().unwrap().to_owned();
            assert!(explained.contains(&("[[bridge]]".to_owned(), name)), "{title}: {line}");
        }
    }
    made
}

/// What TOML calls such a value.
fn kind(value: &str) -> &'static str {
    match value.chars().next() {
        Some('"') => "string",
        Some('[') if value.starts_with("[{") => "array of tables",
        Some('[') => "array of strings",
        Some('{') => "table",
        Some('0'..='9') => "integer",
        Some('t' | 'f') => "boolean",
        _ => panic!("of what kind is {value}?"),
    }
}

/// Paragraphs and lists of a comment. Lines that are set off stay lines.
fn prose(said: &str) -> String {
    let mut made = String::new();
    let mut item = false;
    let mut preformatted = false;
    for line in said.trim().lines() {
        let set_off = line.starts_with("  ") && !item;
        if set_off != preformatted {
            made.push_str(if set_off { ".IP\n.EX\n" } else { ".EE\n.IP\n" });
            preformatted = set_off;
        }
        match line.trim_end() {
            "" => made.push_str(".PP\n"),
            line => {
                if let Some(first) = line.strip_prefix("- ") {
                    if made.ends_with(".PP\n") {
                        made.truncate(made.len() - 4);
                    }
                    item = true;
                    writeln!(made, ".IP \\(bu 2\n{}", text(first)).unwrap();
                } else {
                    item &= line.starts_with("  ");
                    let line = if set_off { line } else { line.trim_start() };
                    writeln!(made, "{}", text(line)).unwrap();
                }
            }
        }
    }
    assert!(!preformatted, "it ends with lines that are set off: {said}");
    made
}

/// Each comment of the header, and what it is about.
fn documented(header: &str) -> Vec<(String, String)> {
    let comments = header.split("/**\n").skip(1);
    comments
        .map(|part| {
            let (comment, code) = part.split_once(" */\n").unwrap();
            let lines = comment.lines().map(|line| line.trim_start_matches(" *"));
            let lines: Vec<&str> =
                lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
            let code = code.split("\n\n").next().unwrap();
            (lines.join("\n"), code.trim_end().to_owned())
        })
        .collect()
}
