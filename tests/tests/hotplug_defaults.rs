//! What `[vif]` in `xennet.toml` says holds where nobody says otherwise.

use std::fs;

use xennet_tests::hotplug::{Dom0, Script, VIF};

#[test]
fn xenstore_and_the_command_line_override_the_defaults_of_the_host() {
    let dom0 = Dom0::new();
    dom0.netns.make_bridge("xenbr1");
    let file = dom0.dir().join("xennet.toml");
    fs::write(&file, "[vif]\nbridge = \"xenbr1\"\nmtu = 1400\n").expect("our own directory");
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    let links = dom0.links();
    // XenStore names a bridge, as xl always does, and no MTU.
    assert_eq!((&*links["link vif1.0 master"], &*links["link vif1.0 mtu"]), ("xenbr0", "1400"));

    dom0.xennet("vif online 1.0 mtu=1300 --once").succeeded();
    assert_eq!(dom0.links()["link vif1.0 mtu"], "1300");
    dom0.xennet("vif online 1.0").succeeded();
    assert_eq!(dom0.links()["link vif1.0 mtu"], "1400");
    dom0.xennet("vif online 1.0 --no-store").succeeded();
    assert_eq!(dom0.links()["link vif1.0 master"], "xenbr1");

    fs::write(&file, "[vif]\nmtuu = 1400\n").expect("our own directory");
    let wrong = dom0.xennet("vif online 1.0");
    assert!(wrong.stderr.contains("unknown key mtuu in [vif]: did you mean mtu?"), "{wrong:?}");
}
