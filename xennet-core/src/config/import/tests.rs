use proptest::prelude::*;

use super::*;

fn import(gateway: Option<&str>, files: &[(&str, &str)]) -> Import {
    let mut import = Import::new(gateway.map(|name| name.parse().unwrap()));
    for (source, text) in files {
        import.read(source, text).unwrap_or_else(|error| panic!("{source}: {error}\n{text}"));
    }
    assert_eq!(NetworkConfig::from_toml(&import.to_toml()).as_ref(), Ok(import.config()));
    import
}

const XEND: &str = "# -*- sh -*-
(xend-unix-server yes)
#(network-script network-dummy)
(xen-api-server ((9363 pam '^localhost$ example\\\\.com$')
                 (unix none)))
(network-script  # two lines, and a comment
    'network-bridge netdev=eth0 bridge=xenbr0 antispoof=yes')
(vif-script \"vif-bridge bridge=xenbr0\")
(vncpasswd '')
";

#[test]
fn of_xend() {
    let import = import(None, &[("/etc/xen/xend-config.sxp", XEND)]);
    let toml = import.config().to_toml();
    assert_eq!(
        toml,
        "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\nguard = \"strict\"\n\n\
         [vif]\nbridge = \"xenbr0\"\n"
    );
    let text = import.to_toml();
    assert!(
        text.starts_with("# /etc/xen/xend-config.sxp, line 6: antispoof=yes let a guest"),
        "{text}"
    );
    assert!(
        text.contains(
            "\n# /etc/xen/xend-config.sxp, line 8: vif-script vif-bridge: set vif.default"
        )
    );
    assert!(text.ends_with(&format!("\n\n{toml}")), "{text}");
}

#[test]
fn however_it_is_quoted() {
    for script in [
        "network-bridge netdev=eth1 bridge=b",
        "'network-bridge netdev=eth1 bridge=b'",
        "\"network-bridge  netdev=eth1\tbridge=b \"",
        "network-bridge 'netdev=eth1' \"bridge=b\"",
        "/etc/xen/scripts/network-bridge netdev=eth1\n  bridge=b # so",
        "'network-br\\idge netdev=eth1 bridge=b'",
    ] {
        let import = import(None, &[("f", &format!("(network-script {script}\n)"))]);
        let bridge = &import.config().bridges[0];
        assert_eq!((bridge.name.as_str(), bridge.uplink.as_ref().unwrap().as_str()), ("b", "eth1"));
        assert!(import.remarks().is_empty(), "{script}");
    }
    for nothing in [
        "(network-script )",
        "(network-script network-dummy)",
        "(network-script '')",
        "",
        "(x (network-script network-bridge))",
    ] {
        let import = import(Some("eth0"), &[("f", nothing)]);
        assert_eq!(
            (import.config(), import.remarks()),
            (&NetworkConfig::default(), &[][..]),
            "{nothing}"
        );
    }
}

#[test]
fn what_has_no_equivalent_is_said_with_its_line() {
    for (gateway, text, words) in [
        (
            None,
            "\n(network-script my-bridges)",
            "f, line 2: network-script my-bridges: it is not one of Xen's own",
        ),
        (
            None,
            "(network-script network-nat)",
            "f, line 1: network-script network-nat: it does not say netdev=, and there is no",
        ),
        (
            Some("eth7"),
            "(network-script network-bridge)",
            "eth7 is where the default route leads here",
        ),
        (
            Some("eth7"),
            "(network-script network-bridge)",
            "guests that ask for bridge=eth7 are to ask for bridge=xenbr7",
        ),
        (
            None,
            "(network-script network-dummy)(network-script network-dummy)",
            "network-script: xend heeds only the first",
        ),
        (None, "(vif-script vif-openvswitch)", "xennet does this under the same name"),
        (None, "vif.default.script=\"vif-openvswitch\"", "xennet does this under the same name"),
        (None, "(vif-script vif-mine)", "not one that xennet can stand in for"),
        (
            None,
            "(network-script 'network-bridge start netdev=eth0 bridge=b hook=x')",
            "hook=x: ignored, as by Xen's script",
        ),
        (
            None,
            "(vif-script 'vif-bridge antispoof=yes')",
            "vif-script: antispoof=yes: has no equivalent",
        ),
        (None, "vif.default.backend=\"dom1\"", "vif.default.backend=dom1: xl goes on"),
        (None, "run_hotplug_scripts=0", "set it to 1"),
        (None, "vif.default.script='vif-route'", "no vif.default.gatewaydev and no default route"),
        (None, "vif.default.script=\"x\u{7}\\\n\"", "x\\u{7}\\n: it is not"),
    ] {
        let import = import(gateway, &[("f", text)]);
        let remarks: Vec<_> = import.remarks().iter().map(ToString::to_string).collect();
        assert!(remarks.iter().any(|remark| remark.contains(words)), "{text}: {remarks:#?}");
        assert!(remarks.iter().all(|remark| !remark.contains('\n')), "{remarks:?}");
    }
}

#[test]
fn of_xl() {
    let text = "## Global XL config file ##
autoballoon=\"off\"
lockfile = '/run/lock/xl' # where it is
vif.default.bridge=\"br.lan\" ; vif.default.script='/etc/xen/scripts/vif-route'
max_grant_frames = 0x40
cpus = [ \"0-3\", # a ] in a comment
  '5]' ]
vif.default.gatewaydev=\"eth1\"
";
    let import = import(Some("eth0"), &[("xl.conf", text)]);
    assert_eq!(
        import.config().to_toml(),
        "[[routed]]\nuplink = \"eth1\"\n\n[vif]\nbridge = \"br.lan\"\ngatewaydev = \"eth1\"\n"
    );
}

#[test]
fn guests_of_vif_nat_are_translated() {
    let toml = "[[nat]]\nname = \"nat0\"\nsubnets = [\"10.0.0.1/9\"]\nuplink = \"eth0\"\n";
    let of_xl = import(Some("eth0"), &[("xl.conf", "vif.default.script='vif-nat'\n")]);
    assert_eq!(of_xl.config().to_toml(), toml);
    let of_xend = "(network-script 'network-nat netdev=eth0')\n(vif-script vif-nat)\n";
    let both = [("xend", of_xend), ("xl.conf", "vif.default.script='vif-nat'\n")];
    let both = import(None, &both);
    assert_eq!(both.config().to_toml(), toml);
    let remarks: Vec<_> = both.remarks().iter().map(ToString::to_string).collect();
    assert!(remarks.iter().any(|one| one.contains("under the same name")), "{remarks:?}");
}

#[test]
fn vifs_follow_a_bridge_that_was_called_as_its_uplink() {
    let xend = (
        "xend",
        "(network-script 'network-bridge netdev=p4p1')\n(vif-script 'vif-bridge bridge=p4p1')\n",
    );
    let xl = ("xl.conf", "vif.default.bridge=\"p4p1\"\n");
    let script = ("xend", "(network-script 'network-bridge netdev=p4p1 bridge=p4p1')\n");
    for files in [&[xend][..], &[script, xl], &[xl, script], &[xend, xl]] {
        let import = import(None, files);
        let bridge = import.config().vif.bridge.as_ref().map(ToString::to_string);
        assert_eq!(bridge.as_deref(), Some("br-p4p1"), "{files:?}");
        let text = import.to_toml();
        assert!(text.contains("bridge=p4p1: is br-p4p1 now, which has the uplink p4p1"), "{text}");
    }
    let other = import(None, &[script, ("xl.conf", "vif.default.bridge=\"p5p1\"\n")]);
    assert_eq!(other.config().vif.bridge, "p5p1".parse().ok());
}

#[test]
fn the_two_together() {
    let xl = "vif.default.bridge=\"xenbr0\"\nvif.default.script=\"vif-route\"\nvif.default.gatewaydev=\"eth0\"\n";
    let import = import(None, &[("xend", XEND), ("xl", xl)]);
    assert!(import.config().routed.is_empty());
    let last = import.remarks().last().unwrap().to_string();
    assert_eq!(
        last,
        "xl, line 2: left out: routed eth0: it is a port of xenbr0, so the way out is xenbr0"
    );
}

#[test]
fn an_error_names_its_line_and_column() {
    for (text, words) in [
        ("(a b\n(c d", "line 1, column 1: \"(\" without a \")\""),
        ("(a)\n b)", "line 2, column 2: expected \"(\""),
        ("(a))", "line 1, column 4: \")\" without a \"(\""),
        ("\n(a 'b)", "line 2, column 4: a string without an end"),
        (
            "(network-script 'network-bridge antispoof=maybe')",
            "line 1, column 1: network-script network-bridge: antispoof \"maybe\": expected yes or no",
        ),
        ("(network-script network-bridge netdev=a/b)", "netdev \"a/b\": expected no"),
        ("a=1\nb", "line 2, column 2: b: expected \"=\""),
        ("a=1 b=2", "line 1, column 5: a: expected the end"),
        ("a=", "line 1, column 3: a: expected a number"),
        ("a=\"b\nc\"", "line 1, column 3: a string without an end"),
        ("a=[1,\n2", "line 1, column 3: \"[\" without a \"]\""),
        ("=1", "line 1, column 1: expected a key"),
        ("vif.default.bridge=\"a b\"", "line 1, column 1: bridge \"a b\": expected"),
    ] {
        let error = Import::new(None).read("f", text).expect_err(text).to_string();
        assert!(error.contains(words), "{text:?}:\n{error}\n{words}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*|[()'\"# \\\\\n=\\[\\];.a-z0-9-]{0,60}|\\((network|vif)-script .*\\)") {
        let mut import = Import::new("eth0".parse().ok());
        if import.read("f", &text).is_ok() {
            let read = NetworkConfig::from_toml(&import.to_toml());
            prop_assert_eq!(read.as_ref(), Ok(import.config()));
        }
    }
}

#[test]
fn a_deep_nest_is_no_deep_stack() {
    let deep = format!("{}{}", "(".repeat(1 << 20), ")".repeat(1 << 20));
    assert!(Import::new(None).read("f", &deep).is_ok());
    assert!(
        Import::new(None)
            .read("f", &format!("a={}{}", "[".repeat(1 << 20), "]".repeat(1 << 20)))
            .is_ok()
    );
}
