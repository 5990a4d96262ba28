//! No file except tests has more than 400 lines.

use crate::sources::{Crate, is_test_file};

/// Lines that a file may have.
pub(crate) const MAX: usize = 400;

/// One line for each file that has more, but for files of tests and the `exempt` (names relative to `src`).
pub(crate) fn too_long(krate: &Crate, exempt: &[&str]) -> Vec<String> {
    krate
        .files
        .values()
        .filter(|file| !is_test_file(&file.name) && !exempt.contains(&file.name.as_str()))
        .filter(|file| file.lines > MAX)
        .map(|file| format!("{} has {} lines", file.name, file.lines))
        .collect()
}

#[test]
fn long_file_is_found() {
    let (long, short) = ("\n".repeat(MAX + 1), "\n".repeat(MAX));
    let files = [("a.rs", &long), ("b.rs", &short), ("c/tests.rs", &long), ("c/tests/d.rs", &long)];
    let krate = Crate::new(files.map(|(name, text)| (name, text.as_str())));
    assert_eq!(too_long(&krate, &[]), ["a.rs has 401 lines"]);
    assert_eq!(too_long(&krate, &["a.rs"]), [""; 0]);
}
