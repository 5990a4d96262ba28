//! A host with many routes: what a plan costs grows as their number does.

use std::fmt::Write as _;
use std::fs;

use xennet_tests::callgrind;
use xennet_tests::lan::Lan;

const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";

/// Instructions of `xennet network plan` for a host whose routes all move.
fn instructions(lan: &Lan, routes: usize) -> u64 {
    let mut batch = String::new();
    for n in 0..routes {
        writeln!(batch, "route add 10.{}.{}.0/24 via 192.0.2.1", n / 256, n % 256)
            .expect("a string takes it");
    }
    let path = lan.dir().join("routes");
    fs::write(&path, batch).expect("our own directory");
    lan.netns.ip("route flush root 10.0.0.0/8");
    lan.netns.ip(&format!("-batch {}", path.display()));
    let plan = lan.xennet("network plan");
    plan.succeeded();
    let moved = plan.stdout.lines().filter(|line| line.contains("xenbr0") && line.contains("via"));
    assert!(moved.count() >= routes, "{routes} routes: {}", plan.stdout);
    callgrind::counted(&lan.command("network plan"))
}

#[test]
fn a_plan_grows_linearly_with_the_routes() {
    let lan = Lan::with_addresses();
    lan.configure(INHERIT);
    let [none, few, many] = [0, 1_000, 4_000].map(|routes| instructions(&lan, routes));
    println!("{none}, {few} and {many} instructions");
    // Four times the routes: four times the instructions, where a quadratic plan takes sixteen times as many.
    assert!(many - none < 5 * (few - none), "{none}, {few}, {many}");
}
