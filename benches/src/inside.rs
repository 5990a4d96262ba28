//! Where the time of one plug goes: found by leaving out parts of it, in turns, in one run.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xennet_core::Dom0Network;
use xennet_core::xenstore::XenStore;
use xennet_tests::callgrind;
use xennet_tests::hotplug::{Script, xennet_hotplug};
use xennet_tests::strace;

use crate::Result;
use crate::contender::{Action, Programs, hotplug};
use crate::figures::Series;
use crate::scene::{BRIDGE, Port, Scene, Setting};

/// What one plug consists of.
#[derive(Debug, Default)]
pub struct Inside {
    /// A static program in C that does nothing.
    pub empty: [Series; 2],
    /// xennet, called for the vif's tap by the wrong word: it parses its arguments and is done.
    pub nothing: [Series; 2],
    /// The library's work in a process that has everything open: without XenStore, with it, and with the guard as well.
    pub library: [[Series; 2]; 3],
    /// The command, with XenStore; without the guard, and with it.
    pub command: [[Series; 2]; 2],
    /// Of the command: system calls.
    pub calls: [[usize; 2]; 2],
    /// Of the command: instructions in user space.
    pub instructions: [[u64; 2]; 2],
    /// Of the program's file, without symbols.
    pub bytes: u64,
}

/// How many ways there are to leave parts out.
const WAYS: usize = 7;

/// Takes it apart.
pub fn measure(programs: &Programs, rounds: usize) -> Result<Inside> {
    let setting = Setting::USUAL;
    let mut scene = Scene::new(setting, 5)?;
    // The first two libraries' vifs and the first command's have no filter.
    for port in [0, 1, 3] {
        if let Some(port) = scene.ports.get_mut(port) {
            port.ip.clear();
        }
    }
    let scene = scene;
    let neighbour = scene.new_neighbour()?;
    let mut net = open(&scene, true)?;
    net.vif(neighbour.id)?.online()?;
    let mut without_store = open(&scene, false)?;
    let script = scene.dom0.dir().join("ours/vif-bridge");
    let [bare, stored, guarded, plain, full] = scene.ports.as_slice() else {
        return Err("five vifs".into());
    };
    let mut this = Inside::default();
    for round in 0..=rounds {
        scene.new_vifs()?;
        for (n, action) in Action::ALL.into_iter().enumerate() {
            for turn in 0..WAYS {
                // Each step but 0 goes through a prime number of ways in an order of its own, so that nobody always comes
                // after the same one.
                let way = (round + turn * (1 + round % (WAYS - 1))) % WAYS;
                let script = |port| quiet(hotplug(&scene.dom0, &script, action, port));
                let (series, took) = match way {
                    0 => (&mut this.empty, timed(&mut quiet(Command::new(programs.like_ours())))?),
                    1 => (&mut this.nothing, timed(&mut nothing(&scene, plain))?),
                    2 => (&mut this.library[0], plug(&mut without_store, action, bare, true)?),
                    3 => (&mut this.library[1], plug(&mut net, action, stored, false)?),
                    4 => (&mut this.library[2], plug(&mut net, action, guarded, false)?),
                    5 => (&mut this.command[0], timed(&mut script(plain))?),
                    _ => (&mut this.command[1], timed(&mut script(full))?),
                };
                if round > 0
                    && let Some(series) = series.get_mut(n)
                {
                    series.push(took);
                }
            }
        }
    }
    for (port, (calls, instructions)) in
        [plain, full].into_iter().zip(this.calls.iter_mut().zip(&mut this.instructions))
    {
        for by_valgrind in [false, true] {
            scene.new_vifs()?;
            for (action, (calls, instructions)) in
                Action::ALL.into_iter().zip(calls.iter_mut().zip(instructions.iter_mut()))
            {
                let command =
                    scene.dom0.command(Script::Ours, port.id, &[action.word(), "type_if=vif"], &[]);
                if by_valgrind {
                    *instructions = callgrind::counted(&command);
                } else {
                    *calls = strace::traced(&command).count();
                }
            }
        }
    }
    this.bytes = stripped(&xennet_hotplug())?;
    Ok(this)
}

/// Names of the parts, in their order in [`Inside::parts`].
pub const PARTS: [&str; 6] = [
    "exec and exit of an empty static program in C",
    "xennet's own start and end, doing nothing",
    "the bridge port: netlink, the lock, others' filters",
    "XenStore: reading the backend, `connected`",
    "the guard: nftables",
    "the rest: opening sockets, page faults, cold caches",
];

impl Inside {
    /// Microseconds of each part of a guarded plug or unplug, and of all together.
    pub fn parts(&self, action: Action) -> ([f64; 6], f64) {
        let n = usize::from(action == Action::Offline);
        let at = |series: &[Series; 2]| series.get(n).map_or(0.0, Series::median);
        let [bare, stored, guarded] = &self.library;
        let whole = at(&self.command[1]);
        let mut parts = [
            at(&self.empty),
            at(&self.nothing) - at(&self.empty),
            at(bare),
            at(stored) - at(bare),
            at(guarded) - at(stored),
            0.0,
        ];
        parts[5] = whole - parts.iter().sum::<f64>();
        (parts, whole)
    }

    /// As it stands in the raw numbers.
    pub fn json(&self) -> Value {
        let both = |[online, offline]: &[Series; 2]| json!({"online_us": online.json(), "offline_us": offline.json()});
        json!({
            "empty": both(&self.empty),
            "nothing": both(&self.nothing),
            "library": self.library.iter().map(both).collect::<Vec<_>>(),
            "command": self.command.iter().map(both).collect::<Vec<_>>(),
            "calls": self.calls,
            "instructions": self.instructions,
            "bytes": self.bytes,
        })
    }
}

fn stripped(program: &Path) -> Result<u64> {
    let dir = tempfile::tempdir()?;
    let copy = dir.path().join("xennet");
    let status = Command::new("strip").arg("-o").arg(&copy).arg(program).status()?;
    if status.success() {
        Ok(fs::metadata(copy)?.len())
    } else {
        Err(format!("strip: {status}").into())
    }
}

fn open(scene: &Scene, store: bool) -> Result<Dom0Network> {
    let store = store.then(|| XenStore::connect(&scene.dom0.store.socket())).transpose()?;
    let mut net = Dom0Network::with_store(store)?;
    net.set_run_dir(scene.dom0.run_dir());
    net.set_hook_dir(scene.dom0.hook_dir());
    Ok(net)
}

fn plug(net: &mut Dom0Network, action: Action, port: &Port, by_hand: bool) -> Result<Duration> {
    let began = Instant::now();
    let mut vif = net.vif(port.id)?;
    if by_hand {
        vif.set("bridge", BRIDGE.as_bytes())?;
    }
    match action {
        Action::Online => vif.online()?,
        Action::Offline => vif.offline()?,
    };
    Ok(began.elapsed())
}

fn nothing(scene: &Scene, port: &Port) -> Command {
    let mut command = Command::new(scene.dom0.dir().join("ours/vif-bridge"));
    let like = scene.dom0.command(Script::Ours, port.id, &[], &[]);
    command.args(["online", "type_if=tap"]).env_clear();
    command.envs(like.get_envs().filter_map(|(key, value)| Some((key, value?))));
    quiet(command)
}

fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn timed(command: &mut Command) -> Result<Duration> {
    let began = Instant::now();
    let status = command.status()?;
    let took = began.elapsed();
    if status.success() { Ok(took) } else { Err(format!("{command:?}: {status}").into()) }
}
