//! Prints the interface of every vif, and again of each that changes, until its standard input ends.

use std::error::Error;
use std::io::{Read, stdin};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use xennet_core::types::VifId;
use xennet_core::{Dom0Network, Event};

fn main() -> Result<(), Box<dyn Error>> {
    let mut net = Dom0Network::open()?;
    let mut monitor = net.monitor()?;
    loop {
        let input = stdin();
        let mut fds = [
            PollFd::new(monitor.as_fd(), PollFlags::POLLIN),
            PollFd::new(input.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut fds, PollTimeout::NONE)?;
        if fds[1].any() == Some(true) && stdin().read(&mut [0])? == 0 {
            return Ok(());
        }
        for event in monitor.events()? {
            match event {
                Event::Vif(id) => show(&mut net, id)?,
                Event::Link(_) | Event::LinkGone(_) => {}
                // `Everything`, and whatever a later version may have.
                _ => {
                    for id in net.vifs()? {
                        show(&mut net, id)?;
                    }
                }
            }
        }
    }
}

fn show(net: &mut Dom0Network, id: VifId) -> Result<(), Box<dyn Error>> {
    let status = net.vif(id)?.status()?;
    let state = match &status.link {
        None => "no interface",
        Some(link) if link.up => "up",
        Some(_) => "down",
    };
    let master = status.master.as_ref().map_or("none", |master| master.as_str());
    println!("vif {id}: {state}, bridge {master}");
    Ok(())
}
