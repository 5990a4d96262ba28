//! A vif's eleven keys from XenStore: pipelined, and one after the other. The embedded XenStore answers.

use std::error::Error;
use std::time::Duration;

use xennet_benches::compare;
use xennet_core::config::VifConfig;
use xennet_core::xenstore::{Server, XenStore};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("xennet-bench-{}", std::process::id()));
    std::fs::create_dir(&dir)?;
    let socket = dir.join("socket");
    let mut server = Server::bind(&socket)?;
    std::thread::spawn(move || while server.poll(Duration::from_mins(1)).is_ok() {});
    let mut together = XenStore::connect(&socket)?;
    let mut singly = XenStore::connect(&socket)?;
    std::fs::remove_dir_all(&dir)?;

    let keys = VifConfig::KEYS.into_iter().chain(["hotplug-status", "hotplug-error"]);
    let paths: Vec<String> = keys.map(|key| format!("backend/vif/3/0/{key}")).collect();
    let mut pipelined = || assert!(together.read_many(&paths).is_ok());
    let mut one_by_one = || assert!(paths.iter().all(|path| singly.read(path).is_ok()));
    compare(
        "eleven keys of a backend",
        2_000,
        &mut [("pipelined", &mut pipelined), ("one by one", &mut one_by_one)],
    );
    Ok(())
}
