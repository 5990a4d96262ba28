//! README and docs: links lead somewhere, commands print what the pages show, and pictures are what the script draws.
//!
//! A block marked `console` is executed, in the order of its page. `...` stands for any lines. BLESS=1 writes the output anew.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use xennet_core::types::VifId;
use xennet_tests::c::{root, succeeded};
use xennet_tests::hotplug::xennet;
use xennet_tests::world::World;

/// Pages whose commands expect guests on a bridge already.
const WITH_ATTACHED_GUESTS: [&str; 3] = ["docs/guard.md", "docs/json.md", "docs/operations.md"];

#[test]
fn readme_has_at_most_180_lines() {
    assert!(read("README.md").lines().count() <= 180);
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut faults = Vec::new();
    let mut linked: BTreeSet<PathBuf> = [root().join("README.md")].into();
    for page in pages().into_iter().chain(["CONTRIBUTING.md".into(), "tests/xen/README.md".into()])
    {
        let text = prose(&read(&page));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => root().join(&page),
                file => root().join(&page).parent().unwrap().join(file),
            };
            let Ok(target) = target.canonicalize() else {
                faults.push(format!("{page}: {link}: no such file"));
                continue;
            };
            if !heading.is_empty()
                && !headings(&fs::read_to_string(&target).unwrap()).contains(heading)
            {
                faults.push(format!("{page}: {link}: no such heading"));
            }
            linked.insert(target);
        }
    }
    let unlinked = pages().into_iter().filter(|page| !linked.contains(&root().join(page)));
    faults.extend(unlinked.map(|page| format!("{page}: no page links to it")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn pages_that_other_files_name_exist() {
    for file in ["dist/xennet.toml", "include/libxennet.h", "CHANGELOG.md", "Makefile"] {
        let text = read(file);
        for rest in text.split("docs/").skip(1) {
            let name = rest
                .split(|c: char| !c.is_ascii_alphanumeric() && !"-./".contains(c))
                .next()
                .unwrap();
            let Some(end) = name.find(".md") else { continue };
            let page = format!("docs/{}.md", &name[..end]);
            assert!(root().join(&page).exists(), "{file}: {page}");
        }
    }
}

#[test]
fn pictures_are_what_the_script_draws() {
    let drawn = TempDir::new().unwrap();
    let script = root().join("docs/pictures/draw.py");
    let output = Command::new("python3").arg(script).arg(drawn.path()).output().unwrap();
    succeeded("draw.py", &output);
    for entry in fs::read_dir(drawn.path()).unwrap() {
        let path = entry.unwrap().path();
        let committed = root().join("docs/pictures").join(path.file_name().unwrap());
        let same = fs::read(&path).unwrap() == fs::read(&committed).unwrap();
        assert!(same, "{}: run docs/pictures/draw.py", committed.display());
    }
}

#[test]
fn shown_commands_print_what_the_pages_show() {
    let mut faults = Vec::new();
    for page in pages() {
        let text = read(&page);
        if !text.contains("```console") {
            continue;
        }
        let made = executed(&page, &text);
        if made != text && std::env::var_os("BLESS").is_some() {
            fs::write(root().join(&page), made).unwrap();
        } else if made != text {
            let lines = made.lines().filter(|line| !text.lines().any(|other| other == *line));
            faults.push(format!("{page}:\n{}", lines.collect::<Vec<_>>().join("\n")));
        }
    }
    let faults = faults.join("\n");
    assert!(faults.is_empty(), "printed, but not shown; BLESS=1 writes it:\n{faults}");
}

/// The page, with the output that its commands have now.
fn executed(page: &str, text: &str) -> String {
    let host = Host::new();
    if WITH_ATTACHED_GUESTS.contains(&page) {
        let setup = "xennet bridge create xenbr0 && xennet vif online 3.0 && xennet vif online 4.0";
        assert_eq!(host.run(setup), "");
    }
    let mut made = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        made.push_str(line);
        made.push('\n');
        let indent = &line[..line.len() - line.trim_start().len()];
        let language = line.trim_start().strip_prefix("```").unwrap_or_default();
        if language.is_empty() {
            continue;
        }
        let mut block = Vec::new();
        while let Some(line) = lines.next_if(|line| line.trim_start() != "```") {
            block.push(line.strip_prefix(indent).unwrap_or(line));
        }
        if language == "toml" {
            host.world.configure(&block.join("\n"));
        }
        if language == "console" {
            block = host.transcript(&block);
        }
        for line in block {
            made.push_str(if line.is_empty() { "" } else { indent });
            made.push_str(line);
            made.push('\n');
        }
        if let Some(end) = lines.next() {
            made.push_str(end);
            made.push('\n');
        }
    }
    made
}

/// A host with `eth0`, a router, and two guests whose vifs are not attached yet.
struct Host {
    world: World,
    bin: TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { world: World::new(), bin: TempDir::new().unwrap() };
        symlink(xennet(), host.bin.path().join("xennet")).unwrap();
        for (domid, ip) in [(3, "192.0.2.11"), (4, "192.0.2.12")] {
            let mac = format!("00:16:3e:01:02:{domid:02x}");
            host.world.dom0.boot(VifId { domid, devid: 0 }, &[("ip", ip), ("mac", &mac)]);
        }
        host
    }

    /// A block with the output that its commands have now; one that fits the block stays as it is.
    fn transcript<'t>(&self, block: &[&'t str]) -> Vec<&'t str> {
        let mut made = Vec::new();
        let mut commands = block.iter().peekable();
        while let Some(command) = commands.next() {
            made.push(*command);
            let words = command.strip_prefix("# ").or(command.strip_prefix("$ "));
            let words = words.unwrap_or_else(|| panic!("{command}: a block begins with a command"));
            let mut shown = Vec::new();
            while let Some(line) =
                commands.next_if(|line| !line.starts_with("# ") && !line.starts_with("$ "))
            {
                shown.push(*line);
            }
            let printed = self.run(&words.replace("make demo", "xennet demo"));
            let lines: Vec<&str> = printed.lines().collect();
            let is_command = |line: &&str| line.starts_with("# ") || line.starts_with("$ ");
            assert!(!lines.iter().any(is_command), "{words}: filter lines that look like commands");
            if fits(&shown, &lines) {
                made.extend(shown);
            } else {
                // The page's lines live longer than this command's.
                made.extend(printed.clone().leak().lines());
            }
        }
        made
    }

    /// What a shell prints on both outputs.
    fn run(&self, words: &str) -> String {
        let reference = self.world.dom0.xennet_command("");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec 2>&1\n{words}")]).stdin(Stdio::null());
        command.envs(reference.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("XENNET_ROOT_DIR", self.world.dom0.dir()).current_dir(self.bin.path());
        command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.bin.path().display()));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }
}

/// Whether the lines are those shown, in which `...` stands for any lines, and times may differ.
fn fits(shown: &[&str], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((&"...", rest)), _) if fits(rest, printed) => true,
        (Some((&"...", _)), Some((_, printed))) => fits(shown, printed),
        (Some((line, shown)), Some((other, printed))) => {
            timeless(line) == timeless(other) && fits(shown, printed)
        }
        _ => false,
    }
}

/// A line without its times.
fn timeless(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_time =
        |n: usize| words.get(n + 1).is_some_and(|unit| unit.trim_end_matches(',') == "ms");
    let words = words.iter().enumerate().map(|(n, word)| if is_time(n) { "TIME" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// README and the pages in docs/.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let docs = docs.map(|name| format!("docs/{}", name.to_str().unwrap()));
    let mut pages: Vec<String> =
        docs.filter(|name| Path::new(name).extension().is_some_and(|end| end == "md")).collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A page without its blocks of code and its code spans.
fn prose(text: &str) -> String {
    let mut in_block = false;
    let mut kept = Vec::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        if !in_block && !is_fence {
            kept.push(line);
        }
    }
    kept.join(" ")
}

/// The anchors that GitHub makes of a page's headings.
fn headings(text: &str) -> BTreeSet<String> {
    let mut in_block = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        in_block ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if in_block || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().to_lowercase().replace(' ', "-");
        anchors.insert(kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect());
    }
    anchors
}
