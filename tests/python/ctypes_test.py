"""libxennet from Python, by ctypes alone: that a language without bindings of its own can use it."""

import ctypes
import errno
import json
import select
import sys

lib = ctypes.CDLL("libxennet.so.0")
handle = ctypes.c_void_p
for name in ("version", "error_message", "plan_json", "status_master", "status_hotplug_status", "event_ifname",
             "guard_json", "network_state_json"):
    getattr(lib, "xennet_" + name).restype = ctypes.c_char_p
lib.xennet_event_domid.restype = ctypes.c_uint32


class Failure(Exception):
    def __init__(self, number, message):
        super().__init__(message)
        self.errno = number


def call(function, *args):
    error = handle()
    code = getattr(lib, "xennet_" + function)(*args, ctypes.byref(error))
    if code:
        message = lib.xennet_error_message(error).decode()
        lib.xennet_error_free(error)
        raise Failure(-code, message)


def made(function, *args):
    result = handle()
    call(function, *args, ctypes.byref(result))
    return result


run_dir, hook_dir = (arg.encode() for arg in sys.argv[1:])
assert lib.xennet_version().count(b".") == 2

net = made("open")
call("set_run_dir", net, run_dir)
call("set_hook_dir", net, hook_dir)
events = made("events_open", net)
vif = made("vif_new", 1, 0)

try:
    call("vif_set", vif, b"mtu", "größer".encode())
    raise AssertionError("a bad value was taken")
except Failure as failure:
    assert failure.errno == errno.EINVAL and 'mtu "größer"' in str(failure), failure

done = made("vif_online", net, vif)
assert "link set dev vif1.0 master xenbr0" in json.loads(lib.xennet_plan_json(done).decode())["changes"]
lib.xennet_plan_free(done)

status = made("vif_status", net, vif)
assert lib.xennet_status_master(status) == b"xenbr0"
assert lib.xennet_status_hotplug_status(status) == b"connected"
lib.xennet_status_free(status)

heard = []


@ctypes.CFUNCTYPE(None, handle, handle)
def hear(event, user):
    heard.append((lib.xennet_event_kind(handle(event)), user))


readable, _, _ = select.select([lib.xennet_events_fd(events)], [], [])
call("events_dispatch", events, hear, handle(42))
assert heard and all(user == 42 for _, user in heard), heard

guard = made("guard_show", net)
assert json.loads(lib.xennet_guard_json(guard).decode()) == []
call("set_config", net, b'[[bridge]]\nname = "xenbr7"\n')
state = made("network_status", net)
assert any("xenbr7" in change for change in json.loads(lib.xennet_network_state_json(state).decode())["drift"])

call("vif_offline", net, vif, None)
for free, what in (("events", events), ("vif", vif), ("guard", guard), ("network_state", state)):
    getattr(lib, f"xennet_{free}_free")(what)
lib.xennet_free(net)
