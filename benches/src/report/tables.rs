//! Measurements as Markdown.

use super::Report;
use crate::contender::{Action, Class, name};
use crate::data_plane::{Filter, Kind, Passage};
use crate::figures::Series;
use crate::inside::{Inside, PARTS};
use crate::plugs::Plugs;
use crate::scene::Setting;
use crate::storm::{Half, Storm};

/// Both classes: in detail as most vifs are plugged, then the medians under every setting.
pub(super) fn plugs(report: &Report) -> String {
    let mut text = String::new();
    for class in Class::ALL {
        text += &format!("\n## One plug, {}\n", class.title());
        for (guard, store) in [(true, true), (false, true), (false, false)] {
            if let Some(plugs) = report.of(Setting { guard, store, ..Setting::USUAL }, class) {
                text += &detailed(plugs);
            }
        }
        for action in Action::ALL {
            text += &medians(report, class, action);
        }
    }
    text
}

/// What a plug consists of, and what it asks of the system.
pub(super) fn inside(inside: &Inside) -> String {
    let [(online, plugging), (offline, unplugging)] =
        Action::ALL.map(|action| inside.parts(action));
    let mut text = "\n## Where the time goes\n\n\
        The command, with XenStore and guard; each part is the difference that leaving it out makes, in medians.\n\n\
        | part | online | offline |\n|---|--:|--:|\n"
        .to_owned();
    for ((part, online), offline) in PARTS.iter().zip(online).zip(offline) {
        text += &format!("| {part} | {online:.0} us | {offline:.0} us |\n");
    }
    text += &format!("| all | {plugging:.0} us | {unplugging:.0} us |\n\n");
    text += "| command | system calls online | offline | instructions in user space online | offline |\n|---|--:|--:|--:|--:|\n";
    for (n, row) in ["without guard", "with guard"].into_iter().enumerate() {
        let [calls, calls_offline] = inside.calls.get(n).copied().unwrap_or_default();
        let [instructions, instructions_offline] =
            inside.instructions.get(n).copied().unwrap_or_default();
        text += &format!(
            "| {row} | {calls} | {calls_offline} | {} | {} |\n",
            thousands(instructions as f64),
            thousands(instructions_offline as f64)
        );
    }
    text
}

/// Who plugged how many, and how long the worst of them took.
pub(super) fn storms(storms: &[Storm]) -> String {
    let mut text = "\n## Boot storm\n\n\
        All vifs over four bridges, with XenStore and guard, each a process of its own but for the library; then all unplugged.\n\n\
        | | vifs | at a time | online: all | each (worst) | failures | offline: all | each (worst) | failures |\n\
        |---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for Storm { name, workers, vifs, both } in storms {
        let half = |half: &Half| {
            format!(
                "{:.2} s | {:.1} ms ({:.1} ms) | {}",
                half.total.as_secs_f64(),
                half.each.median() / 1e3,
                half.each.most() / 1e3,
                half.failures.len()
            )
        };
        let [online, offline] = both;
        text +=
            &format!("| {name} | {vifs} | {workers} | {} | {} |\n", half(online), half(offline));
    }
    text
}

/// What a frame takes from one guest to another.
pub(super) fn passages(passages: &[Passage]) -> String {
    let mut text = "\n## Frames\n\n\
        From guest to guest through the bridge, sent and received by one thread: time of a processor per frame, and the ratio \
        to the same frame without a filter. A frame over TCP or IPv6 has up to 74 bytes where the table says 60.\n\n\
        | other vifs | filter | frame | 60 bytes | | 1,514 bytes | |\n|--:|---|---|--:|--:|--:|--:|\n"
        .to_owned();
    for passage in passages {
        let base = passages
            .iter()
            .find(|base| base.others == passage.others && base.filter == Filter::None);
        for kind in Kind::ALL {
            let others = thousands(passage.others as f64);
            text += &format!("| {others} | {} | {} |", passage.filter.title(), kind.title());
            for size in [0, 1] {
                let median = passage.median(kind, size);
                let ratio = median / base.map_or(median, |base| base.median(kind, size));
                text += &format!(" {} ns | {ratio:.2}x |", thousands(median));
            }
            text += "\n";
        }
    }
    text
}

fn detailed(plugs: &Plugs) -> String {
    let floor = plugs.class.floor();
    let mut text = format!(
        "\n{}; {} rounds.\n\n| | online, median (least to most) | to the floor | offline | to the floor |\n|---|--:|--:|--:|--:|\n",
        plugs.setting,
        plugs.rounds()
    );
    for one in &plugs.measured {
        text += &format!("| {} |", one.name);
        for action in Action::ALL {
            let spread = plugs.of(one.name, action).map(spread).unwrap_or_default();
            let ratio = plugs.ratio(one.name, floor, action).unwrap_or_default();
            text += &format!(" {spread} | {ratio:.2}x |");
        }
        text += "\n";
    }
    text
}

fn medians(report: &Report, class: Class, action: Action) -> String {
    let names = match class {
        Class::Fresh => [
            name::C_FLOOR,
            name::C_MUSL,
            name::COMMAND,
            name::RTNETLINK,
            name::IP_BATCH,
            name::IP,
            name::DEBIAN,
            name::UPSTREAM,
        ]
        .as_slice(),
        Class::LongLived => {
            &[name::RAW, name::RAW_LOOKING, name::LIBRARY, name::C_ABI, name::RTNETLINK]
        }
    };
    let mut text = format!(
        "\nMedians in us, {}:\n\n| | {} |\n|---{}|\n",
        action.word(),
        names.join(" | "),
        "|--:".repeat(names.len())
    );
    for plugs in report.plugs.iter().filter(|plugs| plugs.class == class) {
        let cell = |name: &&str| {
            plugs.of(name, action).map_or_else(|| "-".to_owned(), |series| us(series.median()))
        };
        let cells: Vec<_> = names.iter().map(cell).collect();
        text += &format!("| {} | {} |\n", plugs.setting, cells.join(" | "));
    }
    text
}

fn spread(series: &Series) -> String {
    format!("{} ({} to {}) us", us(series.median()), us(series.least()), us(series.most()))
}

fn us(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { thousands(value) }
}

/// `12,345`
pub(super) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (value, text) in
            [(7.4, "7"), (999.0, "999"), (1000.0, "1,000"), (7_259_421.0, "7,259,421")]
        {
            assert_eq!(thousands(value), text);
        }
    }
}
