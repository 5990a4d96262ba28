//! Which functions a plug runs through, as a linker script that puts them together in the program's file.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The lines of the script for the functions in these records of callgrind, by names that hold for any compiler's hashes.
pub fn lines(records: &[String]) -> BTreeSet<String> {
    let objects = objects_of_libc();
    let functions: BTreeSet<&str> = records.iter().flat_map(|text| functions(text)).collect();
    let found = functions.into_iter().flat_map(|name| places(name, &objects));
    found.chain(UNSEEN.map(String::from)).collect()
}

/// The lines that a script has.
pub fn lines_of(script: &str) -> impl Iterator<Item = String> {
    script.lines().map(str::trim).filter(|line| line.contains("(.text")).map(String::from)
}

/// Where each begins; and what valgrind knows by other names than musl's sections have, or does itself, and what is not in
/// C, such as memcpy.
const UNSEEN: [&str; 10] = [
    "*crt1.o(.text .text.*)",
    "*libc.a:*.lo(.text)",
    "*libc.a:__init_tls.lo(.text.*)",
    "*libc.a:__libc_start_main.lo(.text.*)",
    "*libc.a:clock_gettime.lo(.text.*)",
    "*libc.a:exit.lo(.text.*)",
    "*libc.a:sigaction.lo(.text.*)",
    "*libc.a:strchrnul.lo(.text.*)",
    "*libc.a:strcmp.lo(.text.*)",
    "*libc.a:vdso.lo(.text.*)",
];

/// The whole script.
pub fn script(lines: &BTreeSet<String>) -> String {
    let all = lines.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n");
    format!(
        "/*\n * What a plug runs through, in one place: a page of the program's file that is touched costs some\n \
         * microseconds, and is one of sixteen that the kernel maps for it.\n \
         * Written by `make plug.ld`. What is no longer called so lies with the rest.\n */\n\
         SECTIONS\n{{\n  .text.plug :\n  {{\n{all}\n  }}\n  \
         /* A panic aborts, so nothing is ever unwound: a tenth of the file less. */\n  \
         /DISCARD/ : {{ *(.eh_frame .gcc_except_table .gcc_except_table.*) }}\n}}\nINSERT BEFORE .text;\n\n\
         /* Behind all that is needed of the data: what that leaves of its last page is used as well. */\n\
         SECTIONS\n{{\n  .bss.piece (NOLOAD) : {{ *(.bss.piece) }}\n}}\nINSERT AFTER .bss;\n"
    )
}

/// `fn=(12) name` the first time, `fn=(12)` from then on; `'2` at its end says how deep it calls itself.
fn functions(record: &str) -> impl Iterator<Item = &str> {
    record.lines().filter_map(|line| {
        let rest = line.strip_prefix("fn=(").or_else(|| line.strip_prefix("cfn=("))?;
        let (_, name) = rest.split_once(") ")?;
        Some(name.split('\'').next().unwrap_or(name))
    })
}

/// Where the linker finds a function.
fn places(name: &str, objects: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    // The optimizer's copies of a function bear a suffix.
    let plain = name.split_once('.').map_or(name, |(plain, _)| plain);
    if let Some((start, _)) = name.strip_prefix("_ZN").and_then(|_| name.rsplit_once("17h")) {
        return vec![format!("*(.text.{start}17h*)")];
    }
    if plain.starts_with("_R") {
        return vec![format!("*(.text.{}*)", without_hashes(plain))];
    }
    if !plain.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return Vec::new();
    }
    let mut places = vec![format!("*(.text.{plain})")];
    if let Some(objects) = objects.get(plain).filter(|objects| objects.len() == 1) {
        // In glibc each processor has its own variant of these.
        let variants = |object: &String| object.replace("-avx2", "-*").replace("-avx", "-*");
        places.extend(objects.iter().map(|o| format!("*libc.a:{}(.text .text.*)", variants(o))));
    }
    places
}

/// A mangled name's crates have hashes (`Cs1a2b_`), and what refers to a place before (`B4_`) depends on their lengths.
fn without_hashes(name: &str) -> String {
    let mut out = String::new();
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let opens = ["Cs", "B"].into_iter().find(|opens| rest.starts_with(opens));
        let hash = opens.and_then(|opens| {
            let after = rest.strip_prefix(opens)?;
            let end = after.find(|c: char| !c.is_ascii_alphanumeric())?;
            let closed = after.get(end..)?.strip_prefix('_')?;
            Some((opens, closed))
        });
        if let Some((opens, closed)) = hash {
            out.push_str(opens);
            out.push_str("*_");
            rest = closed;
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// In which objects of the static C library each name is defined.
fn objects_of_libc() -> BTreeMap<String, BTreeSet<String>> {
    let path = output(Command::new("gcc").arg("-print-file-name=libc.a"));
    let names = output(Command::new("nm").args(["-A", "--defined-only", path.trim()]));
    let mut objects: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // `/usr/lib/libc.a:malloc.o:0000000000000000 T malloc`
    for line in names.lines() {
        let Some((place, rest)) = line.rsplit_once(".o:") else { continue };
        let Some((_, object)) = place.rsplit_once(':') else { continue };
        let mut words = rest.split_whitespace().skip(1);
        if let (Some("T" | "t" | "W" | "i"), Some(name)) = (words.next(), words.next()) {
            let plain = name.split_once('.').map_or(name, |(plain, _)| plain);
            objects.entry(plain.to_owned()).or_default().insert(format!("{object}.o"));
        }
    }
    objects
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8(output.stdout).expect("names")
}
