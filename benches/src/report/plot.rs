//! A bar for each contender, the longer the slower; each grid line is ten times the one before.

use super::Report;
use crate::contender::{Action, Class};
use crate::plugs::Plugs;
use crate::scene::Setting;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 220.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 18.0;
const STEP: f64 = 26.0;

/// Online and offline of both classes, with XenStore and guard, on a bridge without other ports.
pub(super) fn svg(report: &Report) -> String {
    let panels: Vec<_> = Class::ALL
        .into_iter()
        .filter_map(|class| report.of(Setting::USUAL, class))
        .flat_map(|plugs| Action::ALL.map(|action| (plugs, action)))
        .collect();
    let most = |(plugs, action): &(&Plugs, Action)| {
        let series = plugs.measured.iter().filter_map(|one| plugs.of(one.name, *action));
        series.map(super::super::figures::Series::most).fold(10.0, f64::max)
    };
    let decades = panels.iter().map(most).fold(10.0, f64::max).log10().ceil();
    let (mut body, mut y) = (String::new(), 10.0);
    for (plugs, action) in panels {
        y = panel(&mut body, plugs, action, y, decades);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

fn panel(body: &mut String, plugs: &Plugs, action: Action, top: f64, decades: f64) -> f64 {
    // The scale begins at 10 us.
    let x =
        |us: f64| LEFT + (us.max(10.0).log10() - 1.0) / (decades - 1.0) * (WIDTH - LEFT - RIGHT);
    let rows = plugs.measured.len() as f64;
    let (first, bottom) = (top + 24.0, top + 24.0 + rows * STEP);
    *body += &format!(
        "<text x=\"8\" y=\"{:.0}\" font-weight=\"bold\">{}, {}: one vif, XenStore and guard; us, median, least to most</text>\n",
        top + 14.0,
        action.word(),
        plugs.class.title()
    );
    let mut line = 10.0;
    while line <= 10f64.powf(decades) {
        *body += &format!(
            "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{first:.1}\" y2=\"{bottom:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{0:.1}\" y=\"{1:.1}\" text-anchor=\"middle\" fill=\"#777\">{2}</text>\n",
            x(line),
            bottom + 12.0,
            super::tables::thousands(line)
        );
        line *= 10.0;
    }
    for (n, one) in plugs.measured.iter().enumerate() {
        let Some(series) = plugs.of(one.name, action) else { continue };
        let (y, end) = (first + 3.0 + n as f64 * STEP, x(series.median()));
        let middle = y + BAR / 2.0;
        let colour = if one.name.starts_with("xennet") {
            "#2a7ab9"
        } else if one.name.contains("floor") {
            "#999"
        } else {
            "#d08a3c"
        };
        *body += &format!(
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#333\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
            LEFT - 6.0,
            middle + 4.0,
            one.name,
            end - LEFT,
            x(series.least()),
            x(series.most()),
            x(series.most()).max(end) + 6.0,
            middle + 4.0,
            super::tables::thousands(series.median())
        );
    }
    bottom + 28.0
}
