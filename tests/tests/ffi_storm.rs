//! Every function of the header with every combination of NULL, nonsense and sense, so that none can be forgotten.
//!
//! The program is written from the header: a function whose types it does not know fails the test until it does.

use std::fmt::Write;
use std::fs;

use xennet_tests::c::{Way, compile, root, run, succeeded};
use xennet_tests::c_header::{Function, functions};
use xennet_tests::hotplug::{Dom0, VIF};

#[test]
fn no_argument_harms() {
    let header = fs::read_to_string(root().join("include/libxennet.h")).expect("the header");
    let program = storm(&functions(&header));
    for way in [Way::Sanitized, Way::Valgrind] {
        let dom0 = Dom0::new();
        dom0.boot(VIF, &[]);
        let source = dom0.dir().join("storm.c");
        fs::write(&source, &program).expect("our own directory");
        let binary = compile(&source, way, dom0.dir());
        let output = run(way, &binary, &dom0)
            .args([dom0.run_dir(), dom0.hook_dir()])
            .current_dir(dom0.dir())
            .output()
            .unwrap_or_else(|e| panic!("{way:?}: {e}: run tests/setup"));
        let said = succeeded(&format!("{way:?}"), &output);
        let calls: u32 = said.trim().parse().expect("the number of calls");
        assert!(calls > 1000, "{calls} calls");
    }
}

/// What may be passed for a parameter. The first is NULL where there is a NULL.
fn candidates(function: &str, kind: &str) -> &'static [&'static str] {
    match kind {
        // Taken away by the call: a fresh one each time.
        _ if function.ends_with("_free") => &["NULL", "FRESH"],
        "xennet *" | "const xennet *" => &["NULL", "net"],
        "xennet_vif *" | "const xennet_vif *" => &["NULL", "vif", "stranger"],
        "xennet_bridge *" | "const xennet_bridge *" => &["NULL", "bridge"],
        "const xennet_plan *" => &["NULL", "plan"],
        "const xennet_status *" => &["NULL", "status"],
        "const xennet_error *" => &["NULL", "failure"],
        "const xennet_names *" => &["NULL", "names"],
        "const xennet_vif_list *" => &["NULL", "vifs"],
        "const xennet_guard *" => &["NULL", "guard"],
        "const xennet_verdict *" => &["NULL", "verdict"],
        "const xennet_guard_faults *" => &["NULL", "faults"],
        "const xennet_network_state *" => &["NULL", "state"],
        "const uint8_t *" => &["NULL", "octets"],
        "xennet_events *" | "const xennet_events *" => &["NULL", "events"],
        // There is one only while it is told.
        "const xennet_event *" | "void *" => &["NULL"],
        "xennet_event_callback" => &["NULL", "hear"],
        "const char *" => {
            &["NULL", "\"\"", "\"\\xff\\xfe\"", "\"bridge\"", "\"%n%s\"", "\"../\\n\"", "long_text"]
        }
        "const char *const *" => &["NULL", "no_texts", "odd_texts", "good_texts"],
        "int" => &["0", "-1"],
        "unsigned int" => &["0", "UINT_MAX"],
        "uint32_t" => &["0", "65535", "UINT32_MAX"],
        // As many as there are, or fewer; or more than there can be.
        "size_t" if function == "xennet_guard_explain" => {
            &["0", "13", "sizeof(octets)", "(size_t)-1"]
        }
        "size_t" => &["0", "(size_t)-1"],
        "int *" => &["NULL", "&number"],
        "xennet_error **" => &["NULL", "&error"],
        "xennet **" => &["NULL", "(xennet **)&result"],
        "xennet_guard **" => &["NULL", "(xennet_guard **)&result"],
        "xennet_guard_faults **" => &["NULL", "(xennet_guard_faults **)&result"],
        "xennet_network_state **" => &["NULL", "(xennet_network_state **)&result"],
        "xennet_verdict **" => &["NULL", "(xennet_verdict **)&result"],
        "xennet_bridge **" => &["NULL", "(xennet_bridge **)&result"],
        "xennet_events **" => &["NULL", "(xennet_events **)&result"],
        "xennet_names **" => &["NULL", "(xennet_names **)&result"],
        "xennet_plan **" => &["NULL", "(xennet_plan **)&result"],
        "xennet_status **" => &["NULL", "(xennet_status **)&result"],
        "xennet_vif **" => &["NULL", "(xennet_vif **)&result"],
        "xennet_vif_list **" => &["NULL", "(xennet_vif_list **)&result"],
        other => panic!("{function}: teach the storm what a {other} is"),
    }
}

/// The candidates that must be made first.
const HANDLES: [&str; 14] = [
    "net", "vif", "stranger", "bridge", "plan", "status", "names", "vifs", "events", "failure",
    "guard", "verdict", "faults", "state",
];

/// What makes a new one of a type and puts it into `result`.
fn fresh(kind: &str) -> &'static str {
    match kind {
        "xennet *" => "xennet_open((xennet **)&result, NULL)",
        "xennet_vif *" => "xennet_vif_new(1, 0, (xennet_vif **)&result, NULL)",
        "xennet_bridge *" => "xennet_bridge_new(\"b\", (xennet_bridge **)&result, NULL)",
        "xennet_plan *" => "xennet_vif_plan_offline(net, vif, (xennet_plan **)&result, NULL)",
        "xennet_status *" => "xennet_vif_status(net, vif, (xennet_status **)&result, NULL)",
        "xennet_error *" => "xennet_vif_new(65536, 0, NULL, (xennet_error **)&result)",
        "xennet_names *" => "xennet_list_bridges(net, (xennet_names **)&result, NULL)",
        "xennet_vif_list *" => "xennet_list_vifs(net, (xennet_vif_list **)&result, NULL)",
        "xennet_guard *" => "xennet_guard_show(net, (xennet_guard **)&result, NULL)",
        "xennet_verdict *" => {
            "xennet_guard_explain(net, \"lo\", octets, 64, (xennet_verdict **)&result, NULL)"
        }
        "xennet_guard_faults *" => "xennet_guard_check(net, (xennet_guard_faults **)&result, NULL)",
        "xennet_network_state *" => {
            "xennet_network_status(net, (xennet_network_state **)&result, NULL)"
        }
        "xennet_events *" => "xennet_events_open(net, (xennet_events **)&result, NULL)",
        other => panic!("teach the storm how to make a {other}"),
    }
}

/// Those that may be NULL.
fn optional(name: &str) -> bool {
    ["err_r", "done_r", "envp", "user"].contains(&name)
}

fn storm(functions: &[Function]) -> String {
    let mut program = BEFORE.to_owned();
    for function in functions {
        let mut calls = vec![Vec::new()];
        for (kind, _) in &function.parameters {
            let values = candidates(&function.name, kind);
            calls = calls
                .iter()
                .flat_map(|call| {
                    values.iter().map(move |value| [call.as_slice(), &[*value]].concat())
                })
                .collect();
        }
        writeln!(program, "static void storm_{}(void)\n{{", function.name).expect("a String");
        for call in calls {
            program.push_str(&one(function, &call));
        }
        program.push_str("}\n\n");
    }
    program.push_str("int main(int argc, char **argv)\n{\n    begin(argc, argv);\n");
    for function in functions {
        writeln!(program, "    storm_{}();", function.name).expect("a String");
    }
    program.push_str("    printf(\"%d\\n\", calls);\n    return 0;\n}\n");
    program
}

fn one(function: &Function, values: &[&str]) -> String {
    let name = &function.name;
    let parameters = || function.parameters.iter().zip(values);
    let null = parameters().any(|((_, name), value)| *value == "NULL" && !optional(name));
    if let (Some((kind, _)), ["FRESH"]) = (function.parameters.first(), values) {
        let make = fresh(kind);
        return format!(
            "    need_net(); need_vif(); (void){make}; {name}(({kind})result); calls++; tear_down();\n"
        );
    }
    let needs: Vec<String> = HANDLES
        .iter()
        .filter(|handle| values.contains(handle))
        .map(|handle| format!("need_{handle}(); "))
        .collect();
    let needs = needs.concat();
    let call = format!("{name}({})", values.join(", "));
    let fallible = function.parameters.last().is_some_and(|(_, name)| name == "err_r");
    match function.returns.as_str() {
        "int" if fallible => {
            let result =
                parameters().find(|((_, name), _)| name.ends_with("_r") && name != "err_r");
            let kind =
                result.filter(|(_, value)| value.contains("result")).map(|((kind, _), _)| kind);
            let free = kind.map_or(String::new(), |kind| {
                let kind = kind.strip_suffix('*').expect("a pointer to a pointer").trim();
                let handle = kind.trim_end_matches([' ', '*']);
                format!("if (result) {handle}_free(({kind})result); ")
            });
            let reported = values.last() == Some(&"&error");
            format!(
                "    {needs}judge({call}, {}, {}, {}, \"{}\"); {free}tear_down();\n",
                i32::from(null),
                i32::from(reported),
                i32::from(kind.is_some()),
                call.replace('\\', "\\\\").replace('"', "'")
            )
        }
        "const char *" => format!("    {needs}look({call}); tear_down();\n"),
        _ => format!("    {needs}(void){call}; calls++; tear_down();\n"),
    }
}

const BEFORE: &str = r#"#include "test.h"

#include <limits.h>

static char **directories;
static int calls, number;
static const uint8_t octets[64];
static void *result;
static char long_text[8193];
static const char *const no_texts[] = { NULL };
static const char *const odd_texts[] = { "", "=", "\xff=\xff", "online", "type_if", NULL };
static const char *const good_texts[] = { "vif-bridge", "online", "vif=vif1.0", NULL };
static xennet *net;
static xennet_vif *vif, *stranger;
static xennet_bridge *bridge;
static xennet_plan *plan;
static xennet_status *status;
static xennet_error *failure;
static xennet_names *names;
static xennet_vif_list *vifs;
static xennet_events *events;
static xennet_guard *guard;
static xennet_verdict *verdict;
static xennet_guard_faults *faults;
static xennet_network_state *state;

static void look(const char *text)
{
    calls++;
    if (text)
        CHECK(strlen(text) < 100000);
}

static void hear(const xennet_event *event, void *user)
{
    CHECK(!user && xennet_event_kind(event) >= 0);
    look(xennet_event_ifname(event));
}

static void begin(int argc, char **argv)
{
    CHECK(argc == 3);
    directories = argv;
    memset(long_text, 'a', sizeof(long_text) - 1);
}

static void need_net(void)
{
    if (net)
        return;
    net = open_net(directories);
    OK(xennet_set_link_wait(net, 0, &error));
}

static void need_vif(void)
{
    if (!vif)
        OK(xennet_vif_new(1, 0, &vif, &error));
}

static void need_stranger(void)
{
    OK(xennet_vif_new(9, 9, &stranger, &error));
}

static void need_bridge(void)
{
    OK(xennet_bridge_new("xenbr9", &bridge, &error));
}

static void need_plan(void)
{
    need_net();
    need_vif();
    OK(xennet_vif_plan_online(net, vif, &plan, &error));
}

static void need_status(void)
{
    need_net();
    need_vif();
    OK(xennet_vif_status(net, vif, &status, &error));
}

static void need_names(void)
{
    need_net();
    OK(xennet_list_bridges(net, &names, &error));
}

static void need_vifs(void)
{
    need_net();
    OK(xennet_list_vifs(net, &vifs, &error));
}

static void need_events(void)
{
    need_net();
    OK(xennet_events_open(net, &events, &error));
}

static void need_guard(void)
{
    need_net();
    OK(xennet_guard_show(net, &guard, &error));
}

static void need_verdict(void)
{
    need_net();
    OK(xennet_guard_explain(net, "lo", octets, sizeof(octets), &verdict, &error));
}

static void need_faults(void)
{
    need_net();
    OK(xennet_guard_check(net, &faults, &error));
}

static void need_state(void)
{
    need_net();
    OK(xennet_network_status(net, &state, &error));
}

static void need_failure(void)
{
    CHECK(xennet_vif_new(65536, 0, &vif, &failure) == -EINVAL);
}

static void tear_down(void)
{
    xennet_error_free(error);
    xennet_error_free(failure);
    xennet_network_state_free(state);
    xennet_guard_faults_free(faults);
    xennet_verdict_free(verdict);
    xennet_guard_free(guard);
    xennet_events_free(events);
    xennet_vif_list_free(vifs);
    xennet_names_free(names);
    xennet_status_free(status);
    xennet_plan_free(plan);
    xennet_bridge_free(bridge);
    xennet_vif_free(stranger);
    xennet_vif_free(vif);
    xennet_free(net);
    error = failure = NULL;
    events = NULL;
    guard = NULL;
    verdict = NULL;
    faults = NULL;
    state = NULL;
    vifs = NULL;
    names = NULL;
    status = NULL;
    plan = NULL;
    bridge = NULL;
    stranger = vif = NULL;
    net = NULL;
    result = NULL;
}

/* Holds a call to what the header says of all. */
static void judge(int code, int null, int reported, int wanted, const char *call)
{
    calls++;
    if (code > 0 || code == -ENOTRECOVERABLE || (null && code != -EINVAL))
        fail(code, call, error);
    if ((code == 0 || !reported) != !error)
        fail(code, call, error);
    if (wanted && (code == 0) != (result != NULL))
        fail(code, call, error);
    if (!error)
        return;
    CHECK(xennet_error_errno(error) == -code);
    look(xennet_error_message(error));
    if (!*xennet_error_message(error) || strchr(xennet_error_message(error), '\n'))
        fail(code, call, error);
}

"#;
