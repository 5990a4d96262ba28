//! What of it all to measure, and how long.

use crate::Result;
use crate::scene::Setting;

/// The command line.
#[derive(Debug)]
pub struct Options {
    /// Rounds of the contenders that start processes; the others have ten times as many.
    pub rounds: usize,
    /// Numbers of other ports.
    pub fill: Vec<u32>,
    /// Parts to measure: all when there is none.
    pub only: Vec<String>,
    /// How many vifs a storm has.
    pub storm: usize,
    /// Whether docs/ is to be written.
    pub write: bool,
}

const USAGE: &str = "usage: performance [--rounds N] [--fill N,N] [--only plugs|inside|storm|data] [--storm N] [--write]";

impl Options {
    /// Reads the arguments, without the program's name.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut this = Self {
            rounds: 15,
            fill: vec![0, 100, 900],
            only: Vec::new(),
            storm: 1000,
            write: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(USAGE);
            match arg.as_str() {
                "--rounds" => this.rounds = value()?.parse()?,
                "--fill" => {
                    this.fill = value()?
                        .split(',')
                        .map(str::parse)
                        .collect::<std::result::Result<_, _>>()?;
                }
                "--only" => this.only.push(value()?),
                "--storm" => this.storm = value()?.parse()?,
                "--write" => this.write = true,
                // cargo bench says so to every benchmark.
                "--bench" => {}
                _ => return Err(USAGE.into()),
            }
        }
        Ok(this)
    }

    /// Whether a part is asked for.
    pub fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }

    /// What plugs are measured under.
    pub fn settings(&self) -> Vec<Setting> {
        let usual = Setting::USUAL;
        let mut settings = Vec::new();
        for &fill in &self.fill {
            for (store, guard) in [(true, false), (true, true), (false, false), (false, true)] {
                settings.push(Setting { fill, guard, store, ..usual });
            }
        }
        for &fill in &self.fill {
            settings.push(Setting { fill, carrier: true, ..usual });
        }
        for guard in [false, true] {
            settings.push(Setting { guard, bridge_nf: false, ..usual });
        }
        settings.push(Setting { changed: true, ..usual });
        settings
    }
}
