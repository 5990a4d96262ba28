//! Plugs a guest's vif into a bridge, as a toolstack would: `plug 3.0 xenbr0`.

use std::path::Path;
use std::process::ExitCode;

use xennet_core::{Dom0Network, Error};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [vif, bridge] = args.as_slice() else {
        eprintln!("usage: plug DOMID.DEVID BRIDGE");
        return ExitCode::from(2);
    };
    match plug(vif, bridge) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plug: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plug(vif: &str, bridge: &str) -> Result<(), Error> {
    let mut net = Dom0Network::open()?;
    net.load_config(Path::new("/etc/xen/xennet.toml"))?;
    let mut vif = net.vif(vif.parse()?)?;
    // What XenStore says of the vif holds, but for the bridge, which overrides it.
    vif.set("bridge", bridge.as_bytes())?;
    print!("{}", vif.online()?);
    Ok(())
}
