//! `xennet`: the network of a Xen dom0, as a command and as the hotplug script that xl calls.

fn main() {}
