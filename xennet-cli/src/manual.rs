//! The commands of xennet(8), and the completions of bash, zsh and fish: made from the command line's own definition.
//!
//! BLESS=1 writes them anew.

use std::fmt::Write as _;

use clap::{Arg, Command};
use clap_complete::aot::{Shell, generate};
use xennet_cli::hotplug;
use xennet_tests::c::root;
use xennet_tests::roff::{bold, holds, same, text};

use crate::args;

#[test]
fn the_page_says_what_the_command_line_takes() {
    let mut xennet = args::definition();
    xennet.build();
    let page = root().join("dist/man/xennet.8");
    let mut options = String::new();
    for option in xennet.get_arguments().filter(|arg| !arg.is_hide_set()) {
        options.push_str(&entry(option));
    }
    holds(&page, 0, &options);
    let mut made = String::new();
    for noun in visible(&xennet) {
        let title = format!("xennet {}", noun.get_name());
        write!(made, ".SS {}\n{}.\n", text(&title), about(noun)).unwrap();
        if visible(noun).next().is_none() {
            made.push_str(&command(&title, noun));
        }
        for verb in visible(noun) {
            made.push_str(&command(&format!("{title} {}", verb.get_name()), verb));
        }
    }
    holds(&page, 1, &made);
}

#[test]
fn the_shells_complete_what_the_command_line_takes() {
    for (shell, file) in
        [(Shell::Bash, "xennet.bash"), (Shell::Zsh, "_xennet"), (Shell::Fish, "xennet.fish")]
    {
        let mut made = Vec::new();
        generate(shell, &mut args::definition(), "xennet", &mut made);
        same(&root().join("dist/completions").join(file), &String::from_utf8(made).unwrap());
    }
}

#[test]
fn every_name_of_xens_scripts_is_installed() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let line = makefile.lines().find_map(|line| line.strip_prefix("SCRIPTS := ")).unwrap();
    let mut names = vec!["vif-xennet".to_owned()];
    for name in line.split(' ') {
        if name.starts_with("network-") {
            assert!(crate::legacy::script(name).is_some(), "{name}");
        } else {
            names.extend([name.to_owned(), format!("{name}.xennet")]);
        }
    }
    names.sort();
    let mut known = hotplug::NAMES.to_vec();
    known.sort_unstable();
    assert_eq!(known, names);
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

/// One command: what is to be typed, what it does, what else it takes.
fn command(name: &str, command: &Command) -> String {
    let own = |arg: &&Arg| !arg.is_hide_set() && !arg.is_global_set() && arg.get_id() != "help";
    let (positionals, options): (Vec<&Arg>, Vec<&Arg>) =
        command.get_arguments().filter(own).partition(|arg| arg.is_positional());
    let mut line = bold(name);
    if !options.is_empty() {
        line.push_str(r" [\fIoptions\fR]");
    }
    for arg in &positionals {
        let many = arg.get_num_args().is_some_and(|n| n.max_values() > 1);
        let dots = if many { " ..." } else { "" };
        let value = format!("{}{dots}", value(arg));
        let value = if arg.is_required_set() { value } else { format!("[{value}]") };
        write!(line, " {value}").unwrap();
    }
    let mut made = format!(".TP\n{line}\n");
    if name.split(' ').count() > 2 {
        writeln!(made, "{}.", about(command)).unwrap();
    }
    let said: String = positionals.into_iter().chain(options).map(entry).collect();
    if !said.is_empty() {
        write!(made, ".RS\n{said}.RE\n").unwrap();
    }
    made
}

/// One argument, and what it is for.
fn entry(arg: &Arg) -> String {
    let mut names: Vec<String> = Vec::new();
    names.extend(arg.get_short().map(|short| bold(&format!("-{short}"))));
    names.extend(arg.get_long().map(|long| bold(&format!("--{long}"))));
    let mut line = names.join(", ");
    if arg.is_positional() {
        line = value(arg);
    } else if arg.get_action().takes_values() {
        write!(line, " {}", value(arg)).unwrap();
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut said = format!("{}.", text(&help));
    let values: Vec<String> =
        arg.get_possible_values().iter().map(|value| bold(value.get_name())).collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        write!(said, "\nOne of {}.", values.join(", ")).unwrap();
    }
    let defaults = arg.get_default_values().iter().filter_map(|value| value.to_str());
    let defaults: Vec<String> = defaults.map(bold).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        write!(said, "\nDefault: {}.", defaults.join(", ")).unwrap();
    }
    format!(".TP\n{line}\n{said}\n")
}

fn value(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<String> = names.iter().map(|name| format!(r"\fI{}\fR", text(name))).collect();
    names.join(" ")
}

fn about(command: &Command) -> String {
    text(&command.get_about().map(ToString::to_string).unwrap_or_default())
}
