//! Text as roff has it, and the parts of manual pages that are made from something else.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::fs;
use std::path::Path;

/// What stands before a part that is made.
const BEGIN: &str = ".\\\" Made by BLESS=1 make test";
/// What stands after it.
const END: &str = ".\\\" So far.";

/// Words as they are written in a line of roff; what is between backticks is bold.
pub fn text(words: &str) -> String {
    let mut out = String::new();
    let mut bold = false;
    for c in words.chars() {
        match c {
            '`' => {
                bold = !bold;
                out.push_str(if bold { r"\fB" } else { r"\fR" });
            }
            '\\' => out.push_str(r"\e"),
            '-' => out.push_str(r"\-"),
            '~' => out.push_str(r"\(ti"),
            '^' => out.push_str(r"\(ha"),
            '"' => out.push_str(r"\(dq"),
            c => out.push(c),
        }
    }
    assert!(!bold, "an odd number of backticks: {words}");
    // A line that begins with either of these would be a request.
    if out.starts_with(['.', '\'']) { format!("\\&{out}") } else { out }
}

/// The same in bold.
pub fn bold(words: &str) -> String {
    format!(r"\fB{}\fR", text(words))
}

/// Holds what stands between the marks of a page (the `n`th pair of them) to what is made. BLESS=1 writes it anew.
pub fn holds(page: &Path, n: usize, made: &str) {
    let committed = read(page);
    let lines: Vec<&str> = committed.split_inclusive('\n').collect();
    let marks = lines
        .iter()
        .enumerate()
        .filter_map(|(n, line)| (line.starts_with(BEGIN) || line.starts_with(END)).then_some(n));
    let marks: Vec<usize> = marks.skip(2 * n).take(2).collect();
    let &[begin, end] = marks.as_slice() else {
        panic!("{}: it has no marks {n}", page.display());
    };
    let before = lines.iter().take(begin + 1).copied();
    let whole: String = before.chain([made]).chain(lines.iter().skip(end).copied()).collect();
    same(page, &whole);
}

/// Holds a file to what is made. BLESS=1 writes it anew.
pub fn same(file: &Path, made: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(file, made).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }
    assert!(read(file) == made, "{} is not up to date: run BLESS=1 make test", file.display());
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
