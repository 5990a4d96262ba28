/**
 * @file libxennet.h
 *
 * libxennet connects Xen guests' vifs to the network of dom0, over netlink and in this process.
 *
 * Every function follows the same few rules:
 *
 * - A function that can fail returns 0, or a negative errno. Its `err_r` may be NULL; on failure, and
 *   only then, a new xennet_error is written there, which says more and is yours to free.
 * - Results come last and end with _r. They are written on success only. They may be NULL where that
 *   is said; anywhere else NULL gives -EINVAL, as it does for every other pointer.
 * - What a function hands out through a _r is yours to free with the _free of its type, which takes
 *   NULL too. What it returns lives as long as the handle that it came from.
 * - Texts are UTF-8 and end with a NUL. What you pass is copied, never kept. Text that is not UTF-8
 *   is an error; paths of files may be any bytes.
 * - Use a handle from one thread at a time; different handles are independent. After fork(), all that
 *   the child may do with one is to free it: open a new one there. Descriptors are close-on-exec.
 * - There is no global state: no logger, no signal handler, no thread. SIGPIPE is never raised. Only
 *   hooks, and what the configuration asks for, make processes, and these are waited for by their id:
 *   where there are any, SIGCHLD must not be ignored (SIG_IGN). xennet_network_start_on_trial() makes
 *   one that outlives it, and says so.
 * - -ENOTCONN says that the connection to XenStore broke earlier: open a new xennet.
 * - -ENOTRECOVERABLE says that the library found a bug of its own. Memory that cannot be had ends the
 *   program.
 *
 * What fails is taken back, and everything may be repeated: what is already so is left alone.
 */
#ifndef LIBXENNET_H
#define LIBXENNET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The version of this header: programs test for a feature by its XENNET_HAVE_ macro.
 */
#define XENNET_VERSION_MAJOR 0

/**
 * See XENNET_VERSION_MAJOR.
 */
#define XENNET_VERSION_MINOR 1

/**
 * See XENNET_VERSION_MAJOR.
 */
#define XENNET_VERSION_PATCH 0

/**
 * There is `xennet_vif_*()`, for the vifs and taps of Linux bridges.
 */
#define XENNET_HAVE_VIF 1

/**
 * There is `xennet_bridge_*()`.
 */
#define XENNET_HAVE_BRIDGE 1

/**
 * There is xennet_vif_set_mode(), and vifs that are routed.
 */
#define XENNET_HAVE_VIF_MODE 1

/**
 * There is xennet_vif_announce().
 */
#define XENNET_HAVE_VIF_ANNOUNCE 1

/**
 * There is `xennet_guard_*()`.
 */
#define XENNET_HAVE_GUARD 1

/**
 * There is `xennet_network_*()`.
 */
#define XENNET_HAVE_NETWORK 1

/**
 * There is xennet_hotplug().
 */
#define XENNET_HAVE_HOTPLUG 1

/**
 * There is `xennet_events_*()`.
 */
#define XENNET_HAVE_EVENTS 1

/**
 * Anything may be different: look at everything that you keep track of. It is the first event
 * of all, and comes again whenever more happened than could be told.
 */
#define XENNET_EVENT_EVERYTHING 0

/**
 * A vif is different: something below its backend in XenStore (state, hotplug-status, ...), or
 * its interface, or its tap. xennet_event_domid() and xennet_event_devid() say which. Without
 * XenStore, only interfaces are heard of.
 */
#define XENNET_EVENT_VIF 1

/**
 * An interface is new, or something of it is different: its name, MTU, address, bridge,
 * whether it is up, its carrier; what `ip monitor link` shows, but nothing of what is a port's
 * own within its bridge. xennet_event_ifname() and xennet_event_ifindex() say which. For an
 * interface of a vif, XENNET_EVENT_VIF comes as well.
 */
#define XENNET_EVENT_LINK 2

/**
 * An interface is gone: deleted, or moved to another namespace. Otherwise as
 * XENNET_EVENT_LINK.
 */
#define XENNET_EVENT_LINK_GONE 3

/**
 * Which Linux bridge is meant, and how it shall be made. It holds on to no network.
 */
typedef struct xennet_bridge xennet_bridge;

/**
 * Why a call failed.
 */
typedef struct xennet_error xennet_error;

/**
 * Something that happened. It says where to look again, not what is there: several changes may
 * be told as one.
 */
typedef struct xennet_event xennet_event;

/**
 * A source of events for a poll loop, with connections of its own.
 */
typedef struct xennet_events xennet_events;

/**
 * Which ports were not guarded as they should be. Everything that it gives lives as long as it
 * does.
 */
typedef struct xennet_guard_faults xennet_guard_faults;

/**
 * What the guard held its ports to at one moment, and what it had counted. Everything that it
 * gives lives as long as it does.
 */
typedef struct xennet_guard xennet_guard;

/**
 * Names of interfaces.
 */
typedef struct xennet_names xennet_names;

/**
 * The network of dom0, or of a driver domain: the network namespace that the opening thread
 * was in, and XenStore.
 *
 * It holds netlink sockets, one connection to XenStore, and, once it looked at others' filters, up
 * to two files of /proc.
 */
typedef struct xennet xennet;

/**
 * What the host's side of the network was at one moment: bridges, the host's own addresses,
 * forwarding. Everything that it gives lives as long as it does.
 */
typedef struct xennet_network_state xennet_network_state;

/**
 * Changes in their order, in the words of ip(8), bridge(8) and xenstore-write(1).
 */
typedef struct xennet_plan xennet_plan;

/**
 * What a vif was at one moment. Everything that it gives lives as long as it does.
 */
typedef struct xennet_status xennet_status;

/**
 * What became of a frame, by the rules that were in force.
 */
typedef struct xennet_verdict xennet_verdict;

/**
 * Which vif is meant, and what is known of it beside what XenStore says. It holds on to no
 * network: use it with any, and free it when you like.
 */
typedef struct xennet_vif xennet_vif;

/**
 * Which vifs there are.
 */
typedef struct xennet_vif_list xennet_vif_list;

/**
 * Is told of one event, which lives until it returns. `user` is what xennet_events_dispatch()
 * was given.
 */
typedef void (*xennet_event_callback)(const xennet_event *event, void *user);

/**
 * The version of the library that the program runs with, such as "0.1.0". It lives as long as
 * the program.
 */
const char *xennet_version(void);

/**
 * Opens this namespace's kernel, and XenStore where libxenstore would find it:
 * $XENSTORED_PATH, or else $XENSTORED_RUNDIR/socket, /var/run/xenstored/socket,
 * /dev/xen/xenbus.
 */
int xennet_open(xennet **net_r, xennet_error **err_r);

/**
 * The same without XenStore: nothing is read from it, and nobody is told.
 */
int xennet_open_without_store(xennet **net_r, xennet_error **err_r);

/**
 * The same with the XenStore at `store`: a socket, or a device such as /dev/xen/xenbus.
 */
int xennet_open_with_store(const char *store, xennet **net_r, xennet_error **err_r);

/**
 * Sets where locks are kept, instead of /run/xennet. The directory is made when it is needed.
 *
 * All that plug vifs here, the xennet command included, must agree on it.
 */
int xennet_set_run_dir(xennet *net, const char *dir, xennet_error **err_r);

/**
 * Sets where the administrator's *.hook executables are, instead of
 * /etc/xen/scripts/vif-post.d.
 */
int xennet_set_hook_dir(xennet *net, const char *dir, xennet_error **err_r);

/**
 * Sets where the files of other programs that configure interfaces are (/etc/network/interfaces
 * and the like, which plans warn of), instead of /.
 */
int xennet_set_root_dir(xennet *net, const char *dir, xennet_error **err_r);

/**
 * Sets how long xennet_vif_online() waits for an interface that is yet to be made, instead of
 * 10 seconds. 0 does not wait.
 */
int xennet_set_link_wait(xennet *net, unsigned int milliseconds, xennet_error **err_r);

/**
 * Sets what the administrator decides for the whole host, from the text of a xennet.toml. An
 * error names its line and column, and changes nothing.
 */
int xennet_set_config(xennet *net, const char *toml, xennet_error **err_r);

/**
 * The same from a file, normally /etc/xen/xennet.toml. That there is no such file is no error.
 * Without this call, nothing is decided: the file is not read by itself.
 */
int xennet_load_config(xennet *net, const char *file, xennet_error **err_r);

/**
 * Lists every vif that has a backend in XenStore or, without XenStore, an interface of
 * netback's name, in order.
 */
int xennet_list_vifs(xennet *net, xennet_vif_list **vifs_r, xennet_error **err_r);

/**
 * Lists the name of every Linux bridge here.
 */
int xennet_list_bridges(xennet *net, xennet_names **names_r, xennet_error **err_r);

/**
 * Closes the network and frees it. What was done with it stays. NULL is fine.
 */
void xennet_free(xennet *net);

/**
 * The errno, positive: what the call returned, negated. 0 for NULL.
 */
int xennet_error_errno(const xennet_error *error);

/**
 * What was attempted, on what, what the system answered, and what to do about it, as one line
 * without an end of line. It lives as long as the error. NULL for NULL.
 */
const char *xennet_error_message(const xennet_error *error);

/**
 * The kernel's own words (NETLINK_EXT_ACK), such as "Can not enslave a bridge to a bridge", or
 * NULL when it gave none. The message has them too. It lives as long as the error.
 */
const char *xennet_error_detail(const xennet_error *error);

/**
 * Frees an error. NULL is fine.
 */
void xennet_error_free(xennet_error *error);

/**
 * Names netback's interface of a guest, vifDOMID.DEVID: `devid` is the number of the device
 * within the guest.
 */
int xennet_vif_new(uint32_t domid, uint32_t devid, xennet_vif **vif_r, xennet_error **err_r);

/**
 * Names the tap of an HVM guest's emulated NIC, vifDOMID.DEVID-emu, which belongs to the vif
 * of the same numbers.
 */
int xennet_vif_new_tap(uint32_t domid, uint32_t devid, xennet_vif **vif_r, xennet_error **err_r);

/**
 * Sets a key that overrides XenStore: "bridge", "vifname", "mtu", "mac", "ip", "rate", "vlan",
 * "gatewaydev". Keys and values are XenStore's own, as in xl-network-configuration(5); an empty
 * value means that the key is not set. The value is checked here: an error names the key, and
 * changes nothing. xennet_vif_online() writes the key to the backend's directory, so that the
 * next one uses it too.
 */
int xennet_vif_set(xennet_vif *vif, const char *key, const char *value, xennet_error **err_r);

/**
 * Sets a key that XenStore overrides: what to take where XenStore says nothing, or where there
 * is none.
 */
int xennet_vif_set_default(xennet_vif *vif,
                           const char *key,
                           const char *value,
                           xennet_error **err_r);

/**
 * Sets the backend's directory in XenStore, absolute or relative to this domain's, instead of
 * backend/vif/DOMID/DEVID.
 */
int xennet_vif_set_backend(xennet_vif *vif, const char *path, xennet_error **err_r);

/**
 * Sets what the vif is plugged into, whatever the script of XenStore says: "bridge", "route" or
 * "nat", as by Xen's vif-bridge, vif-route and vif-nat. "" leaves it to XenStore, and where that
 * says nothing it is a bridge.
 */
int xennet_vif_set_mode(xennet_vif *vif, const char *mode, xennet_error **err_r);

/**
 * Plugs the vif in: waits for its interface, makes it a port of its bridge, or routes to it,
 * reads that back from the kernel, runs the administrator's hooks, and writes hotplug-status =
 * "connected". What is already so is left alone, so that it also repairs a vif, or changes it
 * in place.
 *
 * When anything fails, all that was done is taken back, and XenStore is told as well
 * (hotplug-error, hotplug-status).
 *
 * It takes about a millisecond, but may wait: for the interface (xennet_set_link_wait()), for
 * another process that is at work on the same vif, and for hooks; 30 seconds in all. The
 * changes that were made are in `done_r`, which may be NULL.
 */
int xennet_vif_online(xennet *net,
                      const xennet_vif *vif,
                      xennet_plan **done_r,
                      xennet_error **err_r);

/**
 * Unplugs the vif. That its interface, its bridge, its backend or XenStore itself is gone is
 * no error. The changes that were made are in `done_r`, which may be NULL.
 */
int xennet_vif_offline(xennet *net,
                       const xennet_vif *vif,
                       xennet_plan **done_r,
                       xennet_error **err_r);

/**
 * Tells the bridge, and the switches behind it, that the guest is here now: for a guest that came from another host, has
 * begun to run, and does not say so itself as Linux does. Nothing for a tap, and for a vif that is in no bridge. What was
 * said is in `done_r`, which may be NULL.
 *
 * Call it after the guest was unpaused; `announce = true` in xennet.toml does it in xennet_vif_online() already.
 */
int xennet_vif_announce(xennet *net,
                        const xennet_vif *vif,
                        xennet_plan **done_r,
                        xennet_error **err_r);

/**
 * Says what xennet_vif_online() would do now. Touches nothing and waits for nothing.
 */
int xennet_vif_plan_online(xennet *net,
                           const xennet_vif *vif,
                           xennet_plan **plan_r,
                           xennet_error **err_r);

/**
 * Says what xennet_vif_offline() would do now. Touches nothing.
 */
int xennet_vif_plan_offline(xennet *net,
                            const xennet_vif *vif,
                            xennet_plan **plan_r,
                            xennet_error **err_r);

/**
 * Says what xennet_vif_announce() would do now. Touches nothing.
 */
int xennet_vif_plan_announce(xennet *net,
                             const xennet_vif *vif,
                             xennet_plan **plan_r,
                             xennet_error **err_r);

/**
 * Says what the vif is now, what it shall be, and what it lacks.
 */
int xennet_vif_status(xennet *net,
                      const xennet_vif *vif,
                      xennet_status **status_r,
                      xennet_error **err_r);

/**
 * Frees a vif's name; the vif itself stays as it is. NULL is fine.
 */
void xennet_vif_free(xennet_vif *vif);

/**
 * Whether there is nothing to change: 1 or 0. 1 for NULL.
 */
int xennet_plan_is_empty(const xennet_plan *plan);

/**
 * How many changes there are; 0 for NULL.
 */
size_t xennet_plan_count(const xennet_plan *plan);

/**
 * The change at `index`, from 0, as one line without an end of line: "link set dev vif3.0
 * master xenbr0". NULL when there is none. It lives as long as the plan.
 */
const char *xennet_plan_line(const xennet_plan *plan, size_t index);

/**
 * All changes, a line each. It lives as long as the plan. NULL for NULL.
 */
const char *xennet_plan_text(const xennet_plan *plan);

/**
 * Changes and warnings as JSON: {"changes":["link set dev vif3.0 master xenbr0"],"warnings":[]}.
 * Later versions may add to it. It lives as long as the plan. NULL for NULL.
 */
const char *xennet_plan_json(const xennet_plan *plan);

/**
 * How many warnings there are; 0 for NULL. A plan with a warning is carried out all the same.
 */
size_t xennet_plan_warning_count(const xennet_plan *plan);

/**
 * The warning at `index`, from 0, as one line: what may keep the vif from working, and what to do
 * about it. NULL when there is none. It lives as long as the plan.
 */
const char *xennet_plan_warning(const xennet_plan *plan, size_t index);

/**
 * Frees a plan. NULL is fine.
 */
void xennet_plan_free(xennet_plan *plan);

/**
 * The present name of its interface; NULL when it has none.
 */
const char *xennet_status_ifname(const xennet_status *status);

/**
 * The index of its interface, as if_nametoindex(3) has it; 0 when it has none.
 */
unsigned int xennet_status_ifindex(const xennet_status *status);

/**
 * Whether its interface is up (IFF_UP): 1 or 0.
 */
int xennet_status_up(const xennet_status *status);

/**
 * Whether its interface has a carrier, that is, whether its guest is connected: 1 or 0.
 */
int xennet_status_carrier(const xennet_status *status);

/**
 * The MTU of its interface in bytes; 0 when it has none.
 */
unsigned int xennet_status_mtu(const xennet_status *status);

/**
 * The hardware address of its interface, "fe:ff:ff:ff:ff:ff"; NULL when it has none.
 */
const char *xennet_status_mac(const xennet_status *status);

/**
 * The bridge (or other master) that its interface is a port of; NULL when it is none.
 */
const char *xennet_status_master(const xennet_status *status);

/**
 * What the vif is plugged into: "bridge", "route" or "nat", as xennet_vif_set_mode() has it.
 * Later versions may have more. NULL for NULL.
 */
const char *xennet_status_mode(const xennet_status *status);

/**
 * What XenStore has as hotplug-status, "connected" when all is well; NULL when there is no
 * such key.
 */
const char *xennet_status_hotplug_status(const xennet_status *status);

/**
 * What XenStore has as hotplug-error; NULL when there is no such key.
 */
const char *xennet_status_hotplug_error(const xennet_status *status);

/**
 * What the vif shall be: the value of a key of xennet_vif_set(), from the defaults, XenStore
 * and the overrides, each over the one before. NULL when the key is not set or not known, or
 * when there is an xennet_status_error().
 */
const char *xennet_status_wanted(const xennet_status *status, const char *key);

/**
 * What xennet_vif_online() would do: an empty plan when all is well. NULL when nothing can be
 * planned: then there is an xennet_status_error(). Do not free it.
 */
const xennet_plan *xennet_status_drift(const xennet_status *status);

/**
 * Why xennet_vif_online() would fail at once: a bad value, no such bridge, no backend. NULL
 * when it would not. Do not free it.
 */
const xennet_error *xennet_status_error(const xennet_status *status);

/**
 * Frees a status. NULL is fine.
 */
void xennet_status_free(xennet_status *status);

/**
 * How many vifs a list has; 0 for NULL.
 */
size_t xennet_vif_list_count(const xennet_vif_list *vifs);

/**
 * The domain id of the vif at `index`, from 0; UINT32_MAX when there is none.
 */
uint32_t xennet_vif_list_domid(const xennet_vif_list *vifs, size_t index);

/**
 * The number of the vif at `index` within its guest; UINT32_MAX when there is none.
 */
uint32_t xennet_vif_list_devid(const xennet_vif_list *vifs, size_t index);

/**
 * Frees a list. NULL is fine.
 */
void xennet_vif_list_free(xennet_vif_list *vifs);

/**
 * How many names there are; 0 for NULL.
 */
size_t xennet_names_count(const xennet_names *names);

/**
 * The name at `index`, from 0; NULL when there is none. It lives as long as `names`.
 */
const char *xennet_names_at(const xennet_names *names, size_t index);

/**
 * Frees names. NULL is fine.
 */
void xennet_names_free(xennet_names *names);

/**
 * Names a bridge, which need not exist.
 */
int xennet_bridge_new(const char *name, xennet_bridge **bridge_r, xennet_error **err_r);

/**
 * Sets how the bridge shall be made: "mac" and "mtu" to a value, or with "" to none; "stp" and
 * "vlan_filtering" to "0" or "1", "0" being the default. An error names the key, and changes
 * nothing.
 */
int xennet_bridge_set(xennet_bridge *bridge,
                      const char *key,
                      const char *value,
                      xennet_error **err_r);

/**
 * Makes the bridge and brings it up. One that exists is brought up and keeps its settings;
 * that these contradict what is asked for is an error. The changes that were made are in
 * `done_r`, which may be NULL.
 */
int xennet_bridge_create(xennet *net,
                         const xennet_bridge *bridge,
                         xennet_plan **done_r,
                         xennet_error **err_r);

/**
 * Deletes the bridge; one that is not there is no error. One that has ports is left alone
 * unless `force` is not 0. The changes that were made are in `done_r`, which may be NULL.
 */
int xennet_bridge_delete(xennet *net,
                         const xennet_bridge *bridge,
                         int force,
                         xennet_plan **done_r,
                         xennet_error **err_r);

/**
 * Says what xennet_bridge_create() would do now. Touches nothing.
 */
int xennet_bridge_plan_create(xennet *net,
                              const xennet_bridge *bridge,
                              xennet_plan **plan_r,
                              xennet_error **err_r);

/**
 * Says what xennet_bridge_delete() would do now. Touches nothing.
 */
int xennet_bridge_plan_delete(xennet *net,
                              const xennet_bridge *bridge,
                              int force,
                              xennet_plan **plan_r,
                              xennet_error **err_r);

/**
 * Says whether there is a bridge of that name: 1 or 0. An interface of another kind is none.
 */
int xennet_bridge_exists(xennet *net,
                         const xennet_bridge *bridge,
                         int *exists_r,
                         xennet_error **err_r);

/**
 * Lists the names of the bridge's ports; none when there is no such bridge.
 */
int xennet_bridge_ports(xennet *net,
                        const xennet_bridge *bridge,
                        xennet_names **names_r,
                        xennet_error **err_r);

/**
 * Frees a bridge's name; the bridge itself stays as it is. NULL is fine.
 */
void xennet_bridge_free(xennet_bridge *bridge);

/**
 * Says what the guard holds every vif to, and what it has dropped. Touches nothing.
 */
int xennet_guard_show(xennet *net, xennet_guard **guard_r, xennet_error **err_r);

/**
 * The same of one vif and its tap: no port when nothing guards it.
 */
int xennet_vif_guard(xennet *net,
                     const xennet_vif *vif,
                     xennet_guard **guard_r,
                     xennet_error **err_r);

/**
 * How many ports are guarded; 0 for NULL.
 */
size_t xennet_guard_port_count(const xennet_guard *guard);

/**
 * The interface at `index`, from 0, such as "vif3.0"; NULL when there is none.
 */
const char *xennet_guard_port(const xennet_guard *guard, size_t index);

/**
 * What was set up for the port at `index`, in words: the level of its guard, whose vif it is,
 * and the addresses that it may speak from. NULL when there is none.
 */
const char *xennet_guard_record(const xennet_guard *guard, size_t index);

/**
 * How many packets the port at `index` sent, dropped or not; 0 when there is none.
 */
uint64_t xennet_guard_sent_packets(const xennet_guard *guard, size_t index);

/**
 * The same in bytes.
 */
uint64_t xennet_guard_sent_bytes(const xennet_guard *guard, size_t index);

/**
 * How many of these packets were dropped; 0 when there is no port at `index`.
 */
uint64_t xennet_guard_dropped_packets(const xennet_guard *guard, size_t index);

/**
 * The same in bytes.
 */
uint64_t xennet_guard_dropped_bytes(const xennet_guard *guard, size_t index);

/**
 * All of it for people, as `xennet guard show` prints it: each port with what it is allowed,
 * and what the rules have dropped. Empty when there is no guard. NULL for NULL.
 */
const char *xennet_guard_text(const xennet_guard *guard);

/**
 * All of it as JSON, as `xennet guard show --json` prints it: [{"family":"bridge","ports":
 * [{"port":"vif3.0","sent":{"packets":1,"bytes":60},...}],"rules":[...]}]. Later versions may
 * add to it. NULL for NULL.
 */
const char *xennet_guard_json(const xennet_guard *guard);

/**
 * Frees what the guard was; the guard itself stays as it is. NULL is fine.
 */
void xennet_guard_free(xennet_guard *guard);

/**
 * Says what becomes of a frame that comes in by the interface `port`: whether it passes, and by
 * which rule, reckoned from the rules that are in force. No packet is sent. `frame` is `length`
 * bytes as they are on the wire, from the Ethernet header on and without its checksum, tags
 * included; what no bridge would take is said to be dropped.
 */
int xennet_guard_explain(xennet *net,
                         const char *port,
                         const uint8_t *frame,
                         size_t length,
                         xennet_verdict **verdict_r,
                         xennet_error **err_r);

/**
 * Whether the frame passes: 1 or 0. 0 for NULL.
 */
int xennet_verdict_passes(const xennet_verdict *verdict);

/**
 * What the rule says that decided, as one line: "source is not its own". NULL when none
 * objected. It lives as long as the verdict.
 */
const char *xennet_verdict_rule(const xennet_verdict *verdict);

/**
 * What each rule says that the frame met, in their order, a line each. It lives as long as the
 * verdict. NULL for NULL.
 */
const char *xennet_verdict_text(const xennet_verdict *verdict);

/**
 * All of it as JSON: {"passes":false,"rule":"source is not its own","path":[...]}. Later
 * versions may add to it. It lives as long as the verdict. NULL for NULL.
 */
const char *xennet_verdict_json(const xennet_verdict *verdict);

/**
 * Frees a verdict. NULL is fine.
 */
void xennet_verdict_free(xennet_verdict *verdict);

/**
 * Says what is wrong with the guard: what connected vifs lack by XenStore and the host's
 * configuration, and what is left of vifs that are gone. No fault when all is as it should be.
 * Touches nothing; takes a XenStore, because only that says which addresses a guest has.
 */
int xennet_guard_check(xennet *net, xennet_guard_faults **faults_r, xennet_error **err_r);

/**
 * How many faults there are; 0 for NULL.
 */
size_t xennet_guard_faults_count(const xennet_guard_faults *faults);

/**
 * The interface that the fault at `index`, from 0, is of; NULL when there is none.
 */
const char *xennet_guard_faults_port(const xennet_guard_faults *faults, size_t index);

/**
 * What would put the fault at `index` right. NULL when there is none, or nothing can be
 * planned: then there is an xennet_guard_faults_error(). Do not free it.
 */
const xennet_plan *xennet_guard_faults_repair(const xennet_guard_faults *faults, size_t index);

/**
 * Why the fault at `index` cannot be put right; NULL when there is none, or it can. Do not free
 * it.
 */
const xennet_error *xennet_guard_faults_error(const xennet_guard_faults *faults, size_t index);

/**
 * Frees faults. NULL is fine.
 */
void xennet_guard_faults_free(xennet_guard_faults *faults);

/**
 * Puts right what xennet_guard_check() finds, and touches nothing else of a vif. When one
 * fails, the others are put right all the same, and the first error is returned. The changes
 * that were made are in `done_r`, which may be NULL.
 */
int xennet_guard_restore(xennet *net, xennet_plan **done_r, xennet_error **err_r);

/**
 * Takes the whole guard away, as before an uninstallation: guests are then held to nothing.
 * While it guards vifs that is refused (-EBUSY), unless `force` is not 0. The changes that were
 * made are in `done_r`, which may be NULL.
 */
int xennet_guard_remove(xennet *net, int force, xennet_plan **done_r, xennet_error **err_r);

/**
 * Says what xennet_guard_remove() would do now. Touches nothing.
 */
int xennet_guard_plan_remove(xennet *net, int force, xennet_plan **plan_r, xennet_error **err_r);

/**
 * Makes the host's side as the configuration says (xennet_set_config(), xennet_load_config()),
 * and reads back that it is so: bridges, with the host's addresses and routes moved to them
 * while connections stay, and forwarding. What fails is taken back; what there was is written
 * down in the directory of xennet_set_run_dir(), for xennet_network_stop().
 *
 * It is kept at once, as at boot: who may lose his own connection by it wants
 * xennet_network_start_on_trial(). One that is yet to be confirmed is an error (-EBUSY). It may
 * wait 30 seconds for another that is at work. The changes that were made are in `done_r`,
 * which may be NULL.
 */
int xennet_network_start(xennet *net, xennet_plan **done_r, xennet_error **err_r);

/**
 * The same, and all is taken back unless xennet_network_confirm() is called, here or elsewhere,
 * within `confirm` seconds: at once when a default gateway that answered before does not answer
 * within `probe` seconds, and when this process ends midway.
 *
 * That takes a second process, which is there before the first change: `xennet` is the path of
 * the xennet command, such as "/usr/sbin/xennet". It runs in the calling thread's network
 * namespace, in a session of its own. It is a child of this process, and its number is in
 * `watchdog_r`, for waitpid(2): it ends once the start is confirmed, stopped or taken back. The
 * number is 0 when there was nothing to do, and so nothing to confirm.
 *
 * Should this call not come to an end within two minutes (and twice `probe` seconds), the
 * watchdog kills this process (SIGKILL), which holds the lock, and takes back what was done:
 * call it in a process that may end. The changes that were made are in `done_r`, which may be
 * NULL.
 */
int xennet_network_start_on_trial(xennet *net,
                                  const char *xennet,
                                  unsigned int confirm,
                                  unsigned int probe,
                                  int *watchdog_r,
                                  xennet_plan **done_r,
                                  xennet_error **err_r);

/**
 * Keeps what an unconfirmed start has made, whoever started it, and waits until its watchdog
 * has let go. -ENOENT when there is none to confirm, and then the error says why; -EBUSY when
 * it ended before it was done.
 */
int xennet_network_confirm(xennet *net, xennet_error **err_r);

/**
 * Gives back what a start took, confirmed or not; that it took nothing is no error. A bridge of
 * xennet's own that has guests on it stops it (-EBUSY), unless `force` is not 0. The changes
 * that were made are in `done_r`, which may be NULL.
 */
int xennet_network_stop(xennet *net, int force, xennet_plan **done_r, xennet_error **err_r);

/**
 * Says what xennet_network_start() would do now. Touches nothing.
 */
int xennet_network_plan_start(xennet *net, xennet_plan **plan_r, xennet_error **err_r);

/**
 * Says what xennet_network_stop() would do now. Touches nothing.
 */
int xennet_network_plan_stop(xennet *net, int force, xennet_plan **plan_r, xennet_error **err_r);

/**
 * Says how far the host's side is from what the configuration says. Touches nothing.
 */
int xennet_network_status(xennet *net, xennet_network_state **state_r, xennet_error **err_r);

/**
 * Whether there is something that xennet_network_stop() would give back: 1 or 0.
 */
int xennet_network_state_started(const xennet_network_state *state);

/**
 * What xennet_network_start() would do: an empty plan when all is as the configuration says.
 * NULL when nothing can be planned: then there is an xennet_network_state_error(). Do not free
 * it.
 */
const xennet_plan *xennet_network_state_drift(const xennet_network_state *state);

/**
 * Why xennet_network_start() would fail at once; NULL when it would not. Do not free it.
 */
const xennet_error *xennet_network_state_error(const xennet_network_state *state);

/**
 * Whether a start is yet to be confirmed: 1 or 0.
 */
int xennet_network_state_unconfirmed(const xennet_network_state *state);

/**
 * Whether the process lives that would take the unconfirmed start back: 1 or 0.
 */
int xennet_network_state_watched(const xennet_network_state *state);

/**
 * In how many seconds the unconfirmed start is taken back; 0 when none is, or while changes are
 * still being made.
 */
unsigned int xennet_network_state_seconds_left(const xennet_network_state *state);

/**
 * Why the last start was taken back, as one line; NULL when it was not.
 */
const char *xennet_network_state_rolled_back(const xennet_network_state *state);

/**
 * All of it as JSON, as `xennet network status --json` prints it: {"started":true,"bridges":
 * [{"name":"xenbr0",...}],"unconfirmed":null,"drift":[],...}. Later versions may add to it.
 * NULL for NULL.
 */
const char *xennet_network_state_json(const xennet_network_state *state);

/**
 * Frees a state. NULL is fine.
 */
void xennet_network_state_free(xennet_network_state *state);

/**
 * Does in this process what the hotplug script does when libxl executes it with these
 * arguments and this environment, both as execve(2) has them: arrays that end with NULL,
 * `argv[0]` the script's name, `envp` of "NAME=VALUE". The process's own environment is not
 * read; a NULL `envp` is an empty one. A script called vif-bridge, vif-route or vif-nat does
 * what this name says, any other one what the script of XenStore does.
 *
 * libxl's four calls are "online" and "offline" with "type_if=vif", "add" and "remove" with
 * "type_if=tap"; XENBUS_PATH and vif (or INTERFACE) say which device. Those of the other
 * device do nothing, as they should. 0 stands for the exit code 0, everything else for 1.
 * Waits as xennet_vif_online() does. The changes that were made are in `done_r`, which may be
 * NULL.
 */
int xennet_hotplug(xennet *net,
                   const char *const *argv,
                   const char *const *envp,
                   xennet_plan **done_r,
                   xennet_error **err_r);

/**
 * Says what xennet_hotplug() would do now. Touches nothing and waits for nothing.
 */
int xennet_hotplug_plan(xennet *net,
                        const char *const *argv,
                        const char *const *envp,
                        xennet_plan **plan_r,
                        xennet_error **err_r);

/**
 * Listens from now on: to all interfaces of the calling thread's network namespace and, when
 * `net` has one, to the backends of vifs in the same XenStore. `net` itself is not needed any
 * longer.
 */
int xennet_events_open(const xennet *net, xennet_events **events_r, xennet_error **err_r);

/**
 * The descriptor to poll for POLLIN, the same for as long as `events` lives; -EINVAL for NULL.
 * Only poll it: with poll(2), select(2), epoll(7), GLib or libxl's event hooks,
 * level-triggered. Do not read or close it.
 */
int xennet_events_fd(const xennet_events *events);

/**
 * Tells `callback` what has happened since the last call, each thing once; nothing when
 * nothing has. Never waits. Call it when the descriptor is readable, or at any other time.
 *
 * The callback may use any function of this library, even xennet_events_free() on these
 * events: what was still to be told is told all the same. It must return: no longjmp(), no C++
 * exception.
 *
 * After an error no more is heard: free `events` and open others. Their first event covers
 * what was missed.
 */
int xennet_events_dispatch(xennet_events *events,
                           xennet_event_callback callback,
                           void *user,
                           xennet_error **err_r);

/**
 * Stops listening and frees it. NULL is fine.
 */
void xennet_events_free(xennet_events *events);

/**
 * Which of XENNET_EVENT_ it is; -EINVAL for NULL. Take one that you do not know for
 * XENNET_EVENT_EVERYTHING: later versions may have more.
 */
int xennet_event_kind(const xennet_event *event);

/**
 * The domain id of the vif that it is about; UINT32_MAX when it is about none.
 */
uint32_t xennet_event_domid(const xennet_event *event);

/**
 * The number within its guest of the vif that it is about; UINT32_MAX when it is about none.
 */
uint32_t xennet_event_devid(const xennet_event *event);

/**
 * The name of the interface that it is about, as it was then; NULL when it is about none. It
 * lives as long as the event.
 */
const char *xennet_event_ifname(const xennet_event *event);

/**
 * The index of the interface that it is about; 0 when it is about none.
 */
unsigned int xennet_event_ifindex(const xennet_event *event);

#ifdef __cplusplus
}
#endif

#endif /* LIBXENNET_H */
