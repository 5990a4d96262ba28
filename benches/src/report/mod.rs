//! Results: tables in Markdown, a plot, and the raw numbers.
#![expect(
    clippy::format_push_string,
    clippy::cast_precision_loss,
    reason = "a table is small, and its figures are rounded anyway"
)]

mod plot;
mod tables;
mod targets;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::Result;
use crate::contender::Class;
use crate::data_plane::Passage;
use crate::inside::Inside;
use crate::machine::Machine;
use crate::plugs::Plugs;
use crate::scene::Setting;
use crate::storm::Storm;

/// Everything that was measured in one run; what was not asked for is empty.
#[derive(Debug)]
pub struct Report {
    /// On what.
    pub machine: Machine,
    /// Plugs, one at a time.
    pub plugs: Vec<Plugs>,
    /// Of one plug.
    pub inside: Option<Inside>,
    /// Many at a time.
    pub storms: Vec<Storm>,
    /// Frames.
    pub passages: Vec<Passage>,
}

const BEGIN: &str = "<!-- Written by `make bench`: from here -->";
const END: &str = "<!-- to here -->";

impl Report {
    /// All tables.
    pub fn markdown(&self) -> String {
        let mut text: Vec<String> = self.machine.lines().collect();
        if !self.plugs.is_empty() {
            text.push(targets::table(self));
            text.push(tables::plugs(self));
        }
        if let Some(inside) = &self.inside {
            text.push(tables::inside(inside));
        }
        if !self.storms.is_empty() {
            text.push(tables::storms(&self.storms));
        }
        if !self.passages.is_empty() {
            text.push(tables::passages(&self.passages));
        }
        text.join("\n") + "\n"
    }

    /// Writes performance.json, performance.svg, and what stands between the marks of performance.md.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let page = dir.join("performance.md");
        let text = fs::read_to_string(&page)?;
        let (before, rest) =
            text.split_once(BEGIN).ok_or("performance.md has no mark to begin at")?;
        let (_, after) = rest.split_once(END).ok_or("performance.md has no mark to end at")?;
        fs::write(&page, format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.markdown()))?;
        fs::write(dir.join("performance.json"), format!("{}\n", self.json()))?;
        fs::write(dir.join("performance.svg"), plot::svg(self))?;
        Ok(())
    }

    /// What was measured under a setting.
    pub fn of(&self, setting: Setting, class: Class) -> Option<&Plugs> {
        self.plugs.iter().find(|plugs| plugs.setting == setting && plugs.class == class)
    }

    fn json(&self) -> Value {
        json!({
            "machine": self.machine.json(),
            "plugs": self.plugs.iter().map(Plugs::json).collect::<Vec<_>>(),
            "inside": self.inside.as_ref().map(Inside::json),
            "storms": self.storms.iter().map(Storm::json).collect::<Vec<_>>(),
            "frames": self.passages.iter().map(Passage::json).collect::<Vec<_>>(),
        })
    }
}
