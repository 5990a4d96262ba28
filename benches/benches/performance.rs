//! What plugging a vif costs, beside everything else that plugs one: `make bench`. Needs root, for namespaces of its own.
//!
//! `make bench ARGS="--rounds 5 --fill 0"` is a quick look; without ARGS it measures everything and writes docs/.

use std::path::Path;

use xennet_benches::Result;
use xennet_benches::contender::{Class, Programs};
use xennet_benches::machine::Machine;
use xennet_benches::options::Options;
use xennet_benches::report::Report;
use xennet_benches::scene::Setting;
use xennet_benches::{data_plane, inside, plugs, scene, storm};

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    scene::own_mounts()?;
    let programs = Programs::build(env!("CARGO_BIN_EXE_plug_rtnetlink"))?;
    let mut report = Report {
        machine: Machine::look(),
        plugs: Vec::new(),
        inside: None,
        storms: Vec::new(),
        passages: Vec::new(),
    };
    if options.wants("plugs") {
        for setting in options.settings() {
            for class in Class::ALL {
                eprintln!("{}: {setting}", class.title());
                // A process' time varies by a third from one to the next: where a target is at stake, there are more.
                let aimed_at = setting == Setting { guard: setting.guard, ..Setting::USUAL };
                let times = match class {
                    Class::Fresh if aimed_at => 5,
                    Class::Fresh => 1,
                    Class::LongLived => 10,
                };
                let rounds = options.rounds * times;
                report.plugs.push(plugs::measure(setting, class, &programs, rounds)?);
            }
        }
    }
    if options.wants("inside") {
        eprintln!("inside of a plug");
        report.inside = Some(inside::measure(&programs, 10 * options.rounds)?);
    }
    if options.wants("storm") {
        eprintln!("storms");
        report.storms = storm::measure(options.storm)?;
        for failure in
            report.storms.iter().flat_map(|storm| &storm.both).flat_map(|half| &half.failures)
        {
            eprintln!("failed: {failure}");
        }
    }
    if options.wants("data") {
        eprintln!("frames");
        report.passages = data_plane::measure(options.rounds, options.storm)?;
    }
    report.machine.note_end();
    println!("{}", report.markdown());
    if options.write {
        report.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs"))?;
    }
    Ok(())
}
