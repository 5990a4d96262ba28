//! What was aimed at, and what came of it.

use super::Report;
use crate::contender::{Action, Class, name};
use crate::data_plane::{Filter, Kind};
use crate::scene::Setting;

/// How a figure compares with its target.
struct Target {
    what: &'static str,
    aim: String,
    figure: f64,
    holds: bool,
}

/// All targets that this run says something of.
pub(super) fn table(report: &Report) -> String {
    let mut text = "\n## Targets\n\nEach is a ratio within this run, or a count.\n\n| | target | measured | |\n|---|--:|--:|---|\n".to_owned();
    let ratios = ratios(report);
    let targets = ratios.into_iter().chain(frames(report)).chain(counts(report));
    for Target { what, aim, figure, holds } in targets {
        let holds = if holds { "holds" } else { "**missed**" };
        text += &format!("| {what} | {aim} | {} | {holds} |\n", figure_text(figure));
    }
    text
}

fn ratios(report: &Report) -> Vec<Target> {
    let usual = Setting::USUAL;
    let plain = Setting { guard: false, ..usual };
    let bare = Setting { guard: false, store: false, ..usual };
    let (fresh, lived) = (Class::Fresh, Class::LongLived);
    let (online, offline) = (Action::Online, Action::Offline);
    let ratio =
        |setting, class, name, base, action| report.of(setting, class)?.ratio(name, base, action);
    let least = |what, aim: f64, figure: Option<f64>| {
        figure.map(|figure| Target {
            what,
            aim: format!("at least {aim}x"),
            figure,
            holds: figure >= aim,
        })
    };
    let most = |what, aim: f64, figure: Option<f64>| {
        figure.map(|figure| Target {
            what,
            aim: format!("at most {aim}x"),
            figure,
            holds: figure <= aim,
        })
    };
    [
        least(
            "online, command, XenStore and guard: faster than Debian's vif-bridge",
            40.0,
            ratio(usual, fresh, name::DEBIAN, name::COMMAND, online),
        ),
        least("the same, offline", 28.0, ratio(usual, fresh, name::DEBIAN, name::COMMAND, offline)),
        most(
            "online, command, XenStore, no guard: to the floor in C",
            1.25,
            ratio(plain, fresh, name::COMMAND, name::C_FLOOR, online),
        ),
        most(
            "online, command, XenStore and guard: to the floor in C, which guards nothing",
            1.35,
            ratio(usual, fresh, name::COMMAND, name::C_FLOOR, online),
        ),
        most(
            "online, library: to raw messages",
            1.15,
            ratio(bare, lived, name::LIBRARY, name::RAW, online),
        ),
        least(
            "online, library: faster than the rtnetlink crate",
            2.0,
            ratio(bare, lived, name::RTNETLINK, name::LIBRARY, online),
        ),
        most(
            "online, C ABI: to the Rust library",
            1.03,
            ratio(bare, lived, name::C_ABI, name::LIBRARY, online),
        ),
        most(
            "online, C ABI, XenStore and guard: to the Rust library",
            1.03,
            ratio(usual, lived, name::C_ABI, name::LIBRARY, online),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The worst cell of each target: of all sizes of frames and numbers of other vifs.
fn frames(report: &Report) -> Vec<Target> {
    let of = |filter: Filter, others| {
        report.passages.iter().find(|one| one.filter == filter && one.others == others)
    };
    let worst = |filter, base, kinds: &[Kind]| {
        let passages = report.passages.iter().filter(|passage| passage.filter == filter);
        let ratios = passages.flat_map(|passage| {
            let base = of(base, passage.others);
            let cells = kinds.iter().flat_map(|kind| [(*kind, 0), (*kind, 1)]);
            cells.filter_map(move |(kind, size)| {
                Some(passage.median(kind, size) / base?.median(kind, size))
            })
        });
        ratios.max_by(f64::total_cmp)
    };
    let (guard, beside, none) = (Filter::Guard, Filter::Beside, Filter::None);
    let (ip4, ip6) = Kind::ALL.split_at(2);
    [
        ("guarded frame, IPv4: to no filter", 1.12, worst(guard, none, ip4)),
        ("guarded frame, IPv6: to no filter", 1.15, worst(guard, none, ip6)),
        (
            "frame of a port beside guarded ones: to no filter",
            1.18,
            worst(beside, none, &Kind::ALL),
        ),
        (
            "guarded frame: to the stock rules, first rule",
            1.0,
            worst(guard, Filter::Newest, &Kind::ALL),
        ),
    ]
    .into_iter()
    .filter_map(|(what, aim, figure)| {
        let figure = figure?;
        Some(Target { what, aim: format!("at most {aim}x"), figure, holds: figure <= aim })
    })
    .collect()
}

fn counts(report: &Report) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut most = |what, aim: f64, figure: f64| {
        targets.push(Target {
            what,
            aim: format!("at most {}", figure_text(aim)),
            figure,
            holds: figure <= aim,
        });
    };
    if let Some(inside) = &report.inside {
        let [[calls, _], [guarded, _]] = inside.calls;
        most("system calls, online, no guard", 60.0, calls as f64);
        most("system calls, online, guard", 60.0, guarded as f64);
        let [[plain, _], [guarded, _]] = inside.instructions;
        most("instructions in user space, online, no guard", 350e3, plain as f64);
        most("instructions in user space, online, guard", 350e3, guarded as f64);
        most("bytes of the program, stripped", 3e6, inside.bytes as f64);
    }
    let ours =
        report.storms.iter().filter(|storm| [name::COMMAND, name::LIBRARY].contains(&storm.name));
    let halves = ours.flat_map(|storm| &storm.both);
    if let Some(worst) = halves.map(|half| half.each.most() / 1e3).max_by(f64::total_cmp) {
        most("worst single plug or unplug in a storm, ms", 1000.0, worst);
    }
    targets
}

fn figure_text(figure: f64) -> String {
    if figure < 200.0 {
        format!("{figure:.2}").trim_end_matches(".00").to_owned()
    } else {
        super::tables::thousands(figure)
    }
}
