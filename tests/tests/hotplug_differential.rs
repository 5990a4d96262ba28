//! Debian's vif-bridge of Xen 4.17 and ours, called alike in two dom0s that are alike. Whatever differs afterwards is
//! listed with its reason: a difference that is not listed is an error, and so is one that no longer occurs.

use std::collections::BTreeSet;

use xennet_tests::hotplug::{Dom0, Outcome, Script, State, VIF};

/// Something that is done in both dom0s, with the script of either.
type Step = (&'static str, fn(&Dom0, Script) -> Outcome);

const ONLINE: Step = ("online", |dom0, script| dom0.online(script, VIF));
const ONLINE_AGAIN: Step = ("online again", |dom0, script| dom0.online(script, VIF));
const OFFLINE: Step = ("offline", |dom0, script| dom0.offline(script, VIF));
const OFFLINE_AGAIN: Step = ("offline again", |dom0, script| dom0.offline(script, VIF));
const ADD: Step = ("add", |dom0, script| dom0.add(script, VIF));
const REMOVE: Step = ("remove", |dom0, script| dom0.remove(script, VIF));

/// What every plug with success does otherwise. Each listing is lines of `steps | fact | stock | ours`, below the reason
/// for them; `*` is every step, and `(none)` that there is no such fact.
const NO_LINK_LOCAL: &str = "
    # The host has no IPv6 link-local address on a vif, nor ever gets one: a guest cannot reach the host by it.
    online | link vif1.0 addresses           | fe80::fcff:ffff:feff:ffff |
    *      | link vif1.0 inet6_addr_gen_mode | eui64                     | none
";
/// The same of the first vif in a bridge.
const MTU_RECORD: &str = "
    # The alias of the bridge records its wanted MTU, which a port may lower later.
    * | link xenbr0 ifalias | (none) | xennet mtu 1500
";

#[test]
fn online_and_offline() {
    judge(
        |dom0| dom0.boot(VIF, &[]),
        &[ONLINE, OFFLINE, OFFLINE_AGAIN],
        &[NO_LINK_LOCAL, MTU_RECORD],
    );
}

#[test]
fn online_twice() {
    let again = "
        # As the first time.
        online again | link vif1.0 addresses | fe80::fcff:ffff:feff:ffff |
    ";
    judge(
        |dom0| dom0.boot(VIF, &[]),
        &[ONLINE, ONLINE_AGAIN, OFFLINE],
        &[NO_LINK_LOCAL, MTU_RECORD, again],
    );
}

#[test]
fn a_vif_that_the_stock_script_plugged() {
    judge(
        |dom0| {
            dom0.boot(VIF, &[]);
            dom0.online(Script::Stock, VIF).succeeded();
        },
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL],
    );
    judge(
        |dom0| {
            dom0.boot(VIF, &[]);
            dom0.online(Script::Stock, VIF).succeeded();
        },
        &[OFFLINE],
        &[],
    );
}

#[test]
fn a_vif_of_another_bridge_with_addresses_of_its_own() {
    judge(
        |dom0| {
            dom0.boot(VIF, &[]);
            dom0.netns.ip("link add xenbr1 address 02:00:00:00:00:09 type bridge");
            dom0.netns.ip("link set xenbr1 up");
            dom0.netns.ip("link set vif1.0 address 02:00:00:00:00:05 mtu 1400 master xenbr1 up");
            dom0.netns.ip("address add 10.0.0.1/24 dev vif1.0");
            dom0.netns.ip("address add 10.0.0.2/24 dev vif1.0");
            dom0.netns.ip("address add 2001:db8::1/64 dev vif1.0");
        },
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL, MTU_RECORD],
    );
}

#[test]
fn mtu_of_the_guests_configuration() {
    judge(
        |dom0| dom0.boot(VIF, &[("mtu", "1400")]),
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL, MTU_RECORD],
    );
    judge(
        |dom0| dom0.boot(VIF, &[("mtu", "9000")]),
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL, MTU_RECORD],
    );
}

#[test]
fn mtu_of_the_bridge() {
    judge(
        |dom0| {
            dom0.netns.ip("link set uplink mtu 1400");
            dom0.boot(VIF, &[]);
        },
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL, &MTU_RECORD.replace("1500", "1400")],
    );
    judge(
        |dom0| {
            dom0.netns.ip("link set uplink mtu 9000");
            dom0.boot(VIF, &[]);
        },
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL, &MTU_RECORD.replace("1500", "9000")],
    );
}

#[test]
fn addresses_of_the_guests_configuration() {
    judge(
        |dom0| dom0.boot(VIF, &[("ip", "10.1.0.9 10.1.0.10 fd00::9")]),
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL, MTU_RECORD],
    );
}

#[test]
fn keys_that_are_not_the_scripts() {
    judge(
        |dom0| dom0.boot(VIF, &[("rate", "25000,20000"), ("gatewaydev", "world")]),
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL, MTU_RECORD],
    );
}

#[test]
fn vifname() {
    let renamed = "
        # The host has no IPv6 link-local address on a vif, nor ever gets one: a guest cannot reach the host by it.
        online, online again | link web addresses           | fe80::fcff:ffff:feff:ffff |
        *                    | link web inet6_addr_gen_mode | eui64                     | none
        # A renamed vif says what it was, so that it is found again.
        * | link web ifalias | (none) | vif1.0
        # The MTU goes to the frontend, not to a path made of the new name.
        * | store /local/domain/web                    |      | (none)
        * | store /local/domain/web/device             |      | (none)
        * | store /local/domain/web/device/vif         |      | (none)
        * | store /local/domain/web/device/vif/web     |      | (none)
        * | store /local/domain/web/device/vif/web/mtu | 1500 | (none)
        # A second online finds the vif under the name that the first gave it.
        online again          | exit code                                               | 1 | 0
        online again, offline | store /local/domain/0/backend/vif/1/0/hotplug-error     | Cannot rename interface vif1.0. An interface with name web already exists. | (none)
        online again, offline | store /local/domain/0/backend/vif/1/0/hotplug-status    | error | connected
    ";
    judge(
        |dom0| dom0.boot(VIF, &[("vifname", "web")]),
        &[ONLINE, ONLINE_AGAIN, OFFLINE],
        &[MTU_RECORD, renamed],
    );
}

#[test]
fn vifname_of_somebody_elses_interface() {
    let left_alone = "
        # The error says what to do.
        * | store /local/domain/0/backend/vif/1/0/hotplug-error | Cannot rename interface vif1.0. An interface with name world already exists. | vifname world: a veth interface of that name exists and is not vif1.0; it was left alone, choose another vifname=
        # Whoever has the name keeps the network, also when the guest is taken down that could not have it.
        offline | link world up        | false | true
        offline | link world addresses |       | fe80::ff:fe00:2
    ";
    judge(|dom0| dom0.boot(VIF, &[("vifname", "world")]), &[ONLINE, OFFLINE], &[left_alone]);
}

#[test]
fn no_bridge_key_and_one_bridge() {
    let taken_out = "
        # Whatever bridge the vif is in, offline takes it out; the stock script takes the master of every port for a name.
        offline | exit code                                            | 1     | 0
        offline | store /local/domain/0/backend/vif/1/0/hotplug-error  | Could not find bridge device xenbr0\\nxenbr0 | (none)
        offline | store /local/domain/0/backend/vif/1/0/hotplug-status | error | connected
        offline | link vif1.0 up        | true   | false
        offline | link vif1.0 addresses | fe80::fcff:ffff:feff:ffff |
        offline | link vif1.0 master    | xenbr0 | (none)
        offline | link vif1.0 flood     | true   | (none)
        offline | link vif1.0 hairpin   | false  | (none)
        offline | link vif1.0 isolated  | false  | (none)
        offline | link vif1.0 learning  | true   | (none)
        offline | link vif1.0 locked    | false  | (none)
        offline | link vif1.0 priority  | 32     | (none)
    ";
    judge(
        |dom0| {
            dom0.boot(VIF, &[]);
            dom0.store.tool("xenstore-rm", &["backend/vif/1/0/bridge"]);
        },
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL, MTU_RECORD, taken_out],
    );
}

#[test]
fn a_bridge_of_the_legacy_name() {
    judge(
        |dom0| {
            dom0.netns.ip("link set xenbr0 down name eth0");
            dom0.netns.ip("link set eth0 up");
            dom0.boot(VIF, &[]);
        },
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL, &MTU_RECORD.replace("xenbr0", "eth0")],
    );
}

#[test]
fn a_bridge_that_is_not_there() {
    let told = "
        # The error says what to do.
        * | store /local/domain/0/backend/vif/1/0/hotplug-error | Could not find bridge device nope | bridge nope: no such interface; create it with `xennet bridge create nope`, or correct bridge=
        # A bridge that is gone is no reason to fail an offline.
        offline | exit code | 1 | 0
    ";
    judge(|dom0| dom0.boot(VIF, &[("bridge", "nope")]), &[ONLINE, OFFLINE], &[told]);
}

#[test]
fn a_bridge_that_is_none() {
    let told = "
        # A failed online says so in XenStore, or xl could not print why.
        online | exit code                                            | 2      | 1
        *      | store /local/domain/0/backend/vif/1/0/hotplug-error  | (none) | bridge world: is a veth interface, not a Linux bridge; correct bridge=
        *      | store /local/domain/0/backend/vif/1/0/hotplug-status |        | error
    ";
    judge(|dom0| dom0.boot(VIF, &[("bridge", "world")]), &[ONLINE, OFFLINE], &[told]);
}

#[test]
fn a_bridge_that_goes_away() {
    let taken_down = "
        # A bridge that is gone is no reason to fail an offline.
        offline without bridge | exit code                                            | 1     | 0
        offline without bridge | store /local/domain/0/backend/vif/1/0/hotplug-error  | Could not find bridge device xenbr0 | (none)
        offline without bridge | store /local/domain/0/backend/vif/1/0/hotplug-status | error | connected
        offline without bridge | link vif1.0 up                                       | true  | false
        offline without bridge | link vif1.0 addresses                                | fe80::fcff:ffff:feff:ffff |
    ";
    let offline: Step = ("offline without bridge", |dom0, script| {
        dom0.netns.ip("link delete xenbr0");
        dom0.offline(script, VIF)
    });
    judge(
        |dom0| dom0.boot(VIF, &[]),
        &[ONLINE, offline],
        &[NO_LINK_LOCAL, &MTU_RECORD.replace('*', "online"), taken_down],
    );
}

#[test]
fn a_guest_that_is_gone() {
    let online = "
        # The host has no IPv6 link-local address on a vif, nor ever gets one: a guest cannot reach the host by it.
        online | link vif1.0 addresses           | fe80::fcff:ffff:feff:ffff |
        online | link vif1.0 inet6_addr_gen_mode | eui64                     | none
    ";
    let offline: Step = ("offline", |dom0, script| {
        dom0.shut_down(VIF, "vif1.0");
        dom0.offline(script, VIF)
    });
    judge(|dom0| dom0.boot(VIF, &[]), &[ONLINE, offline, OFFLINE_AGAIN], &[MTU_RECORD, online]);
}

#[test]
fn a_vif_that_never_came() {
    judge(|dom0| dom0.fill_store(VIF, &[]), &[OFFLINE], &[]);
}

#[test]
fn calls_for_the_other_device_do_nothing() {
    let online: Step = ("online of the tap", |dom0, script| {
        dom0.call(script, VIF, &["online", "type_if=tap"], &[])
    });
    let add: Step =
        ("add of the vif", |dom0, script| dom0.call(script, VIF, &["add", "type_if=vif"], &[]));
    judge(|dom0| dom0.boot(VIF, &[]), &[online, add], &[]);
}

#[test]
fn a_command_that_is_none() {
    let step: Step = ("restart", |dom0, script| dom0.call(script, VIF, &["restart"], &[]));
    judge(|dom0| dom0.boot(VIF, &[]), &[step], &[]);
}

#[test]
fn a_hook_that_looks_around() {
    judge(
        |dom0| {
            dom0.hook(
                "look.hook",
                "echo $command $dev \"<$main_ip>\" \"<$ip>\" $XENBUS_PATH >>hooks.log",
            );
            dom0.boot(VIF, &[("ip", "10.1.0.9")]);
        },
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL, MTU_RECORD],
    );
}

#[test]
fn a_hook_that_fails() {
    let undone = "
        # A failed online says so in XenStore, or xl could not print why.
        *      | store /local/domain/0/backend/vif/1/0/hotplug-error  | (none) | hook DIR/hooks/fail.hook: failed with exit status: 1; correct or remove it
        *      | store /local/domain/0/backend/vif/1/0/hotplug-status |        | error
        # What was done is taken back: who calls by hand runs no offline after a failure.
        online | link vif1.0 up        | true                      | false
        online | link vif1.0 addresses | fe80::fcff:ffff:feff:ffff |
        online | link vif1.0 master    | xenbr0                    | (none)
        online | link vif1.0 flood     | true                      | (none)
        online | link vif1.0 hairpin   | false                     | (none)
        online | link vif1.0 isolated  | false                     | (none)
        online | link vif1.0 learning  | true                      | (none)
        online | link vif1.0 locked    | false                     | (none)
        online | link vif1.0 priority  | 32                        | (none)
    ";
    judge(
        |dom0| {
            dom0.hook("fail.hook", "test $command = offline");
            dom0.boot(VIF, &[]);
        },
        &[ONLINE, OFFLINE],
        &[undone],
    );
}

#[test]
fn a_hook_that_ends_itself() {
    let connected = "
        # A hook is executed, not sourced: it cannot end the script before its last step.
        * | store /local/domain/0/backend/vif/1/0/hotplug-status | | connected
    ";
    judge(
        |dom0| {
            dom0.hook("end.hook", "exit 0");
            dom0.boot(VIF, &[]);
        },
        &[ONLINE, OFFLINE],
        &[NO_LINK_LOCAL, MTU_RECORD, connected],
    );
}

#[test]
fn a_tap() {
    judge(
        |dom0| boot_hvm(dom0, &[]),
        &[ONLINE, ADD, OFFLINE, REMOVE],
        &[
            NO_LINK_LOCAL,
            MTU_RECORD,
            "
            # As on the vif.
            add                  | link vif1.0 addresses               | fe80::fcff:ffff:feff:ffff |
            add, offline, remove | link vif1.0-emu inet6_addr_gen_mode | eui64                     | none
            ",
        ],
    );
}

#[test]
fn a_tap_with_vifname() {
    let renamed = "
        # The host has no IPv6 link-local address on a vif, nor ever gets one: a guest cannot reach the host by it.
        online, add          | link web addresses               | fe80::fcff:ffff:feff:ffff |
        *                    | link web inet6_addr_gen_mode     | eui64                     | none
        add, offline, remove | link web-emu inet6_addr_gen_mode | eui64                     | none
        # A renamed vif says what it was, so that it is found again.
        *                    | link web ifalias     | (none) | vif1.0
        add, offline, remove | link web-emu ifalias | (none) | vif1.0-emu
        # The MTU goes to the frontend, not to a path made of the new name.
        * | store /local/domain/web                    |      | (none)
        * | store /local/domain/web/device             |      | (none)
        * | store /local/domain/web/device/vif         |      | (none)
        * | store /local/domain/web/device/vif/web     |      | (none)
        * | store /local/domain/web/device/vif/web/mtu | 1500 | (none)
    ";
    judge(
        |dom0| boot_hvm(dom0, &[("vifname", "web")]),
        &[ONLINE, ADD, OFFLINE, REMOVE],
        &[MTU_RECORD, renamed],
    );
}

fn boot_hvm(dom0: &Dom0, keys: &[(&str, &str)]) {
    dom0.boot(VIF, &[&[("type", "vif_ioemu")], keys].concat());
    dom0.make_tap(VIF);
    // QEMU's has any.
    dom0.netns.ip("link set vif1.0-emu address 02:00:00:00:00:06");
}

/// A fact that is one thing after a step with the stock script, and another with ours.
type Difference = (String, String, String, String);

fn judge(prepare: fn(&Dom0), steps: &[Step], listed: &[&str]) {
    let [stock, ours] = [Script::Stock, Script::Ours].map(|script| history(prepare, steps, script));
    let mut found = BTreeSet::new();
    for ((stock, ours), (step, _)) in stock.iter().zip(&ours).zip(steps) {
        let facts: BTreeSet<&String> = stock.keys().chain(ours.keys()).collect();
        for fact in facts {
            let of = |state: &State| state.get(fact).map_or("(none)", String::as_str).to_owned();
            if of(stock) != of(ours) {
                found.insert(((*step).to_owned(), fact.clone(), of(stock), of(ours)));
            }
        }
    }
    let listed = listed.iter().flat_map(|listing| parse(listing, steps)).collect();
    assert_eq!(lines(found.difference(&listed)), "", "these differences are not listed");
    assert_eq!(lines(listed.difference(&found)), "", "these listed differences do not occur");
}

/// What there is after each step.
fn history(prepare: fn(&Dom0), steps: &[Step], script: Script) -> Vec<State> {
    let dom0 = Dom0::new();
    prepare(&dom0);
    let dir = dom0.dir().display().to_string();
    let after = |(name, step): &Step| {
        let outcome = step(&dom0, script);
        println!("{script:?} {name}: {outcome:?}");
        let mut state = dom0.state();
        let code = outcome.code.map_or("a signal".to_owned(), |code| code.to_string());
        state.insert("exit code".to_owned(), code);
        state.insert("hooks".to_owned(), dom0.written("hooks.log").unwrap_or_default());
        for value in state.values_mut() {
            *value = value.replace(&dir, "DIR");
        }
        state
    };
    steps.iter().map(after).collect()
}

fn parse<'a>(listing: &'a str, steps: &'a [Step]) -> impl Iterator<Item = Difference> + 'a {
    let mut lines = listing.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    assert!(lines.peek().is_some_and(|line| line.starts_with('#')), "a reason comes first");
    lines.filter(|line| !line.starts_with('#')).flat_map(move |line| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [at, fact, stock, ours] = columns[..] else { panic!("{line}: not four columns") };
        let named = at.split(',').map(str::trim).collect::<Vec<_>>();
        let meant = steps.iter().map(|(step, _)| *step);
        let meant: Vec<_> = meant.filter(|step| at == "*" || named.contains(step)).collect();
        assert!(at == "*" || meant.len() == named.len(), "{line}: names a step that is not made");
        meant
            .into_iter()
            .map(move |step| (step.to_owned(), fact.to_owned(), stock.to_owned(), ours.to_owned()))
    })
}

fn lines<'a>(differences: impl Iterator<Item = &'a Difference>) -> String {
    let line =
        |(step, fact, stock, ours): &Difference| format!("{step} | {fact} | {stock} | {ours}\n");
    differences.map(line).collect()
}
