//! Plugs and unplugs, one at a time: the contenders of a class take turns.

use serde_json::{Value, json};

use crate::Result;
use crate::contender::{Action, Class, Contender, Library, Programs};
use crate::figures::Series;
use crate::scene::{Filter, Scene, Setting};

/// What a class of contenders took under one setting.
#[derive(Debug)]
pub struct Plugs {
    /// Under what.
    pub setting: Setting,
    /// What is comparable.
    pub class: Class,
    /// A contender each.
    pub measured: Vec<Measured>,
}

/// What one contender took.
#[derive(Debug)]
pub struct Measured {
    /// As it stands in the results.
    pub name: &'static str,
    /// To plug in, and to unplug.
    pub took: [Series; 2],
}

/// Has every contender plug and unplug a vif of its own in each round; who begins changes from round to round.
pub fn measure(
    setting: Setting,
    class: Class,
    programs: &Programs,
    rounds: usize,
) -> Result<Plugs> {
    let scene = Scene::new(setting, 2 * class.count(setting))?;
    let mut contenders = class.contenders(&scene, programs)?;
    let count = contenders.len();
    let mut measured: Vec<_> = contenders
        .iter()
        .map(|one| Measured { name: one.name(), took: <[Series; 2]>::default() })
        .collect();
    // On a host with one more vif nobody has to make the guard's table first.
    let neighbour = scene.new_neighbour()?;
    let mut library = Library::open(&scene)?;
    library.run(Action::Online, &neighbour)?;
    // The first round only fetches everything into memory.
    for round in 0..=rounds {
        scene.new_vifs()?;
        for turn in 0..count {
            // Forwards and backwards in turns, or everyone would always come after the same one.
            let step = if round.is_multiple_of(2) { turn } else { count - turn };
            let which = (round + step) % count;
            let all =
                contenders.get_mut(which).zip(scene.ports.get(which)).zip(measured.get_mut(which));
            let ((contender, port), Measured { took: [online, offline], .. }) =
                all.ok_or("a vif each")?;
            let spare = scene.ports.get(count + which).ok_or("and a spare one")?;
            let filter = contender.filter();
            // Whoever plugs again and again has just done it. Without this, the harness' own use of the library would leave
            // the processor's caches full of the code of one contender, and empty of the others'.
            let warm_up = |contender: &mut dyn Contender, action| match class {
                Class::Fresh => Ok(()),
                Class::LongLived => contender.run(action, spare).map(drop),
            };
            if setting.guard && filter == Filter::Guard && class == Class::Fresh {
                // Whoever had his turn before changed the ruleset. On most hosts the last to do so was xennet.
                library.run(Action::Offline, &neighbour)?;
                library.run(Action::Online, &neighbour)?;
            }
            warm_up(contender.as_mut(), Action::Online)?;
            if setting.changed {
                scene.dom0.netns.nft("table ip somebody\ndelete table ip somebody\n");
            }
            let plugging = contender.run(Action::Online, port)?;
            scene.assert_online(port, filter)?;
            warm_up(contender.as_mut(), Action::Offline)?;
            let unplugging = contender.run(Action::Offline, port)?;
            scene.assert_offline(port, filter)?;
            if round > 0 {
                online.push(plugging);
                offline.push(unplugging);
            }
        }
    }
    Ok(Plugs { setting, class, measured })
}

impl Plugs {
    /// Of the contender of this name.
    pub fn of(&self, name: &str, action: Action) -> Option<&Series> {
        let Measured { took: [online, offline], .. } =
            self.measured.iter().find(|one| one.name == name)?;
        Some(match action {
            Action::Online => online,
            Action::Offline => offline,
        })
    }

    /// How many rounds there were.
    pub fn rounds(&self) -> usize {
        self.measured.first().map_or(0, |one| one.took[0].len())
    }

    /// How many times as long as another one took: the median of the rounds' ratios.
    pub fn ratio(&self, name: &str, base: &str, action: Action) -> Option<f64> {
        Some(self.of(name, action)?.ratio(self.of(base, action)?))
    }

    /// Every round of everyone, in microseconds.
    pub fn json(&self) -> Value {
        let contender = |Measured { name, took: [online, offline] }: &Measured| json!({"name": name, "online_us": online.json(), "offline_us": offline.json()});
        json!({
            "setting": self.setting.json(),
            "class": self.class.title(),
            "contenders": self.measured.iter().map(contender).collect::<Vec<_>>(),
        })
    }
}
