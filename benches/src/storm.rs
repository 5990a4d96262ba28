//! A host that boots: all its guests' vifs at once, over four bridges; and all of them gone again.

use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Result;
use crate::contender::{Action, Contender, Library, hotplug, name, stock_scripts};
use crate::figures::Series;
use crate::scene::{Filter, Scene, Setting};

/// What one storm came to.
#[derive(Debug)]
pub struct Storm {
    /// Who plugged.
    pub name: &'static str,
    /// How many processes there were at a time.
    pub workers: usize,
    /// How many vifs.
    pub vifs: usize,
    /// Plugging all of them, then unplugging them.
    pub both: [Half; 2],
}

/// One direction of it.
#[derive(Debug, Default)]
pub struct Half {
    /// From the first one's start to the last one's end.
    pub total: Duration,
    /// Each by itself.
    pub each: Series,
    /// What failed, or was not so afterwards.
    pub failures: Vec<String>,
}

const BRIDGES: usize = 4;

/// Every storm: ours with so many vifs, the stock scripts' with at most 50.
pub fn measure(vifs: usize) -> Result<Vec<Storm>> {
    let mut storms = Vec::new();
    for (name, workers, vifs) in [
        (name::LIBRARY, 1, vifs),
        (name::COMMAND, 1, vifs),
        (name::COMMAND, 2, vifs),
        (name::COMMAND, 64, vifs),
        (name::COMMAND, 1, vifs.min(50)),
        (name::DEBIAN, 1, vifs.min(50)),
        (name::DEBIAN, 2, vifs.min(50)),
        (name::DEBIAN, 64, vifs.min(50)),
        (name::UPSTREAM, 1, vifs.min(50)),
        (name::UPSTREAM, 64, vifs.min(50)),
    ] {
        storms.push(storm(name, workers, vifs)?);
    }
    Ok(storms)
}

fn storm(name: &'static str, workers: usize, vifs: usize) -> Result<Storm> {
    let usual = Setting::USUAL;
    let mut scene = Scene::new(usual, vifs)?;
    for n in 1..BRIDGES {
        scene.dom0.netns.make_bridge(&format!("xenbr{n}"));
    }
    for (n, port) in scene.ports.iter_mut().enumerate() {
        port.bridge = format!("xenbr{}", n % BRIDGES);
    }
    scene.new_vifs()?;
    let mut both = <[Half; 2]>::default();
    for (action, half) in Action::ALL.into_iter().zip(&mut both) {
        *half = if name == name::LIBRARY {
            by_library(&scene, action)?
        } else {
            by_processes(&scene, name, action, workers)?
        };
        for port in &scene.ports {
            // Who filters how is asked where plugs are measured one by one.
            let is = match action {
                Action::Online => scene.assert_online(port, Filter::None),
                Action::Offline => scene.assert_offline(port, Filter::None),
            };
            half.failures.extend(is.err().map(|error| error.to_string()));
        }
    }
    Ok(Storm { name, workers, vifs, both })
}

fn by_library(scene: &Scene, action: Action) -> Result<Half> {
    let mut library = Library::open(scene)?;
    let mut half = Half::default();
    let began = Instant::now();
    for port in &scene.ports {
        match library.run(action, port) {
            Ok(took) => half.each.push(took),
            Err(error) => half.failures.push(format!("{}: {error}", port.name)),
        }
    }
    half.total = began.elapsed();
    Ok(half)
}

fn by_processes(scene: &Scene, name: &str, action: Action, workers: usize) -> Result<Half> {
    let dom0 = &scene.dom0;
    let scripts = stock_scripts(dom0)?;
    let stock = scripts.iter().find(|(stock, ..)| *stock == name).map(|(.., path)| path.clone());
    let script = stock.unwrap_or_else(|| dom0.dir().join("ours/vif-bridge"));
    // The last one is taken first.
    let commands = scene
        .ports
        .iter()
        .rev()
        .map(|port| (port.name.clone(), hotplug(dom0, &script, action, port)));
    let queue = Mutex::new(commands.collect::<Vec<_>>());
    let half = Mutex::new(Half::default());
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = lock(&queue).pop();
                    let Some((vif, command)) = next else { return };
                    let (took, failure) = run(&vif, command);
                    let mut half = lock(&half);
                    half.each.push(took);
                    half.failures.extend(failure);
                }
            });
        }
    });
    let mut half = half.into_inner()?;
    half.total = began.elapsed();
    Ok(half)
}

fn run(vif: &str, mut command: Command) -> (Duration, Option<String>) {
    let began = Instant::now();
    let output = command.output();
    let took = began.elapsed();
    let failure = match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            Some(format!("{vif}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
        }
        Err(error) => Some(format!("{vif}: {error}")),
    };
    (took, failure)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no worker panics")
}

impl Storm {
    /// As it stands in the raw numbers.
    pub fn json(&self) -> Value {
        let half = |half: &Half| {
            json!({
                "total_us": half.total.as_micros(),
                "each_us": half.each.json(),
                "failures": half.failures,
            })
        };
        let [online, offline] = &self.both;
        json!({
            "name": self.name,
            "workers": self.workers,
            "vifs": self.vifs,
            "online": half(online),
            "offline": half(offline),
        })
    }
}
