//! Programs that are started for each plug, as libxl starts the hotplug script.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use xennet_tests::hotplug::{Dom0, Script, install, xennet};

use super::{Action, Contender, name};
use crate::Result;
use crate::scene::{BRIDGE, Filter, MAC, Port, Scene};

/// What was built for the measurement, and the other programs' paths.
#[derive(Debug)]
pub struct Programs {
    dir: TempDir,
    rtnetlink: PathBuf,
}

/// What a plug or unplug starts.
type Commands<'s> = Box<dyn Fn(Action, &Port) -> Vec<Command> + 's>;

/// Starts some programs one after the other.
struct Process<'s> {
    name: &'static str,
    filter: Filter,
    scene: &'s Scene,
    commands: Commands<'s>,
}

/// The line that Debian puts at the beginning of `handle_iptable` (its bug #894013), and what it stands below.
const DISABLED: &str =
    "  # This function is disabled in Debian packaging. See Debian bug #894013.\n  return 0\n";

impl Programs {
    /// Compiles the floor in C, with each C library. `rtnetlink` is the program that plugs by that crate.
    pub fn build(rtnetlink: &str) -> Result<Self> {
        let dir = TempDir::new()?;
        let this = Self { rtnetlink: dir.path().join("plug_rtnetlink"), dir };
        // As `make install` does it. What a linker has just written lies in the system's memory in smaller pieces than what
        // was copied or read from a disk, and takes a tenth longer to start.
        fs::copy(rtnetlink, &this.rtnetlink)?;
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/floor.c");
        for (compiler, program) in [("gcc", this.floor()), ("musl-gcc", this.musl_floor())] {
            let mut cc = Command::new(compiler);
            cc.args(["-static", "-O2", "-Wall", "-Wextra", "-Werror"]);
            // The kernel's own headers are in no C library.
            let arch = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
            cc.args(["-idirafter", "/usr/include", "-idirafter", &arch, "-o"]);
            let linked = this.dir.path().join("linked");
            let built = cc.arg(&linked).arg(source).status();
            if !built.as_ref().is_ok_and(ExitStatus::success) {
                return Err(format!("{compiler} {source}: {built:?}: run tests/setup").into());
            }
            fs::copy(linked, program)?;
        }
        Ok(this)
    }

    /// The static program in C.
    pub fn floor(&self) -> PathBuf {
        self.dir.path().join("floor")
    }

    /// The same, linked with musl.
    fn musl_floor(&self) -> PathBuf {
        self.dir.path().join("floor-musl")
    }

    /// The one that is linked with the C library that xennet's command is linked with.
    pub fn like_ours(&self) -> PathBuf {
        if libc_of_ours() == "musl" { self.musl_floor() } else { self.floor() }
    }

    pub(super) fn contenders<'s>(
        &'s self,
        scene: &'s Scene,
    ) -> Result<Vec<Box<dyn Contender + 's>>> {
        let process = |name, filter, commands: Commands<'s>| -> Box<dyn Contender + 's> {
            Box::new(Process { name, filter, scene, commands })
        };
        let none = Filter::None;
        let floor: Commands =
            Box::new(|action, port| vec![floor_call(self.floor(), scene, action, port)]);
        let musl: Commands =
            Box::new(|action, port| vec![floor_call(self.musl_floor(), scene, action, port)]);
        let ours: Commands = Box::new(|action, port| vec![ours(scene, action, port)]);
        let ip: Commands = Box::new(|action, port| ip_calls(scene, action, port));
        let batch: Commands = Box::new(|action, port| self.ip_batch(scene, action, port));
        let mut all = vec![
            process(name::C_FLOOR, none, floor),
            process(name::C_MUSL, none, musl),
            process(name::COMMAND, Filter::Guard, ours),
            process(name::IP, none, ip),
            process(name::IP_BATCH, none, batch),
        ];
        if scene.setting.store {
            for (name, filter, script) in stock_scripts(&scene.dom0)? {
                let call = move |action, port: &Port| hotplug(&scene.dom0, &script, action, port);
                let stock: Commands = Box::new(move |action, port| vec![call(action, port)]);
                all.push(process(name, filter, stock));
            }
        } else {
            let by_crate: Commands = Box::new(|action, port| {
                let mut command = plain(&self.rtnetlink);
                command.args([action.word(), &port.name]);
                vec![command]
            });
            all.push(process(name::RTNETLINK, none, by_crate));
        }
        Ok(all)
    }

    fn ip_batch(&self, scene: &Scene, action: Action, port: &Port) -> Vec<Command> {
        let file = self.dir.path().join("batch");
        fs::write(&file, ip_lines(action, port).join("\n")).expect("our own directory");
        let mut ip = plain("ip");
        ip.arg("-batch").arg(&file);
        std::iter::once(ip).chain(connected(scene, action, port)).collect()
    }
}

impl Contender for Process<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, action: Action, port: &Port) -> Result<Duration> {
        let log = self.scene.dom0.dir().join("said");
        let mut commands = (self.commands)(action, port);
        for command in &mut commands {
            let said = File::options().append(true).create(true).open(&log)?;
            command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        }
        let began = Instant::now();
        let mut failed = None;
        for command in &mut commands {
            let status = command.status()?;
            if !status.success() {
                failed = Some(status);
            }
        }
        let took = began.elapsed();
        match failed {
            None => Ok(took),
            Some(status) => {
                let said = fs::read_to_string(&log)?;
                Err(format!("{} {}: {status}: {said}", self.name, action.word()).into())
            }
        }
    }

    fn filter(&self) -> Filter {
        self.filter
    }
}

/// The C library that xennet's command is linked with.
pub fn libc_of_ours() -> &'static str {
    if xennet().to_string_lossy().contains("-musl/") { "musl" } else { "glibc" }
}

fn floor_call(floor: PathBuf, scene: &Scene, action: Action, port: &Port) -> Command {
    let dom0 = &scene.dom0;
    let mut command = plain(floor);
    command.args([action.word(), &port.name, BRIDGE]);
    if scene.setting.store {
        command.args(keys(dom0, port)).env("XENSTORED_PATH", dom0.store.socket());
    }
    command
}

/// Debian's script as it is, and a copy in which the firewall part works as in Xen's own sources: Debian disables it by
/// one line, which is taken out.
pub fn stock_scripts(dom0: &Dom0) -> Result<[(&'static str, Filter, PathBuf); 2]> {
    let (stock, upstream) = (dom0.dir().join("stock"), dom0.dir().join("upstream"));
    if !upstream.exists() {
        fs::create_dir(&upstream)?;
        for entry in fs::read_dir(&stock)? {
            let entry = entry?;
            install(&entry.path(), &upstream.join(entry.file_name()));
        }
        let common = upstream.join("vif-common.sh");
        let text = fs::read_to_string(&common)?;
        if text.matches(DISABLED).count() != 1 {
            return Err(
                "Debian's vif-common.sh no longer disables its firewall part as it did".into()
            );
        }
        fs::write(&common, text.replace(DISABLED, ""))?;
    }
    Ok([
        (name::DEBIAN, Filter::None, stock.join("vif-bridge")),
        (name::UPSTREAM, Filter::Iptables, upstream.join("vif-bridge")),
    ])
}

/// A script, as libxl calls it.
pub fn hotplug(dom0: &Dom0, script: &Path, action: Action, port: &Port) -> Command {
    let args = [action.word(), "type_if=vif"];
    let like = dom0.command(Script::Ours, port.id, &args, &[]);
    let mut command = plain(script);
    command.args(args).envs(like.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.env("script", script);
    command
}

fn ours(scene: &Scene, action: Action, port: &Port) -> Command {
    let dom0 = &scene.dom0;
    if scene.setting.store {
        hotplug(dom0, &dom0.dir().join("ours/vif-bridge"), action, port)
    } else {
        by_hand(dom0, action, port)
    }
}

/// `xennet vif`, as a person calls it who has no XenStore.
fn by_hand(dom0: &Dom0, action: Action, port: &Port) -> Command {
    let mut command = plain(xennet());
    command.args(["vif", action.word(), &port.id.to_string(), "--no-store"]);
    if action == Action::Online {
        let keys = [("bridge", BRIDGE), ("mac", &port.mac), ("ip", &port.ip)];
        command.args(
            keys.iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(key, value)| format!("{key}={value}")),
        );
    }
    command
        .env("XENNET_RUN_DIR", dom0.run_dir())
        .env("XENNET_HOOK_DIR", dom0.hook_dir())
        .env("XENNET_CONFIG", dom0.dir().join("xennet.toml"));
    command
}

fn ip_calls(scene: &Scene, action: Action, port: &Port) -> Vec<Command> {
    let lines = ip_lines(action, port);
    let steps = lines.iter().map(|line| {
        let mut command = plain("ip");
        command.args(line.split(' '));
        command
    });
    steps.chain(connected(scene, action, port)).collect()
}

/// What those who cannot talk to XenStore end with.
fn connected(scene: &Scene, action: Action, port: &Port) -> Option<Command> {
    let dom0 = &scene.dom0;
    (scene.setting.store && action == Action::Online).then(|| {
        let [mtu, status] = keys(dom0, port);
        let mut command = plain("xenstore-write");
        command.args([&mtu, "1500", &status, "connected"]);
        command.env("XENSTORED_PATH", dom0.store.socket());
        command
    })
}

/// The keys that are written when a vif is plugged.
fn keys(dom0: &Dom0, port: &Port) -> [String; 2] {
    let (frontend, backend) = (dom0.frontend(port.id), dom0.backend(port.id));
    [format!("{frontend}/mtu"), format!("{backend}/hotplug-status")]
}

/// The same steps as the stock script's.
fn ip_lines(action: Action, Port { name, .. }: &Port) -> Vec<String> {
    match action {
        Action::Online => vec![
            format!("link set dev {name} down"),
            format!("link set dev {name} address {MAC}"),
            format!("link set dev {name} addrgenmode none"),
            format!("address flush dev {name}"),
            format!("link set dev {name} mtu 1500"),
            format!("link set dev {name} master {BRIDGE}"),
            format!("link set dev {name} up"),
        ],
        Action::Offline => {
            vec![format!("link set dev {name} down"), format!("link set dev {name} nomaster")]
        }
    }
}

fn plain(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}
