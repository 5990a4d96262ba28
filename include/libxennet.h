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
 *   hooks make processes, and these are waited for by their id: where there are hooks, SIGCHLD must
 *   not be ignored (SIG_IGN).
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
 * Names of interfaces.
 */
typedef struct xennet_names xennet_names;

/**
 * The network of dom0, or of a driver domain: the network namespace that the opening thread
 * was in, and XenStore.
 *
 * It holds one netlink socket and one connection to XenStore.
 */
typedef struct xennet xennet;

/**
 * Changes in their order, in the words of ip(8), bridge(8) and xenstore-write(1).
 */
typedef struct xennet_plan xennet_plan;

/**
 * What a vif was at one moment. Everything that it gives lives as long as it does.
 */
typedef struct xennet_status xennet_status;

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
 * Sets a key that overrides XenStore, as a person does who says so: "bridge", "vifname",
 * "mtu", "mac", "ip", "rate", "vlan", "gatewaydev". Keys and values are XenStore's own, as in
 * xl-network-configuration(5); an empty value means that the key is not set. The value is
 * checked here: an error names the key, and changes nothing.
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
 * Plugs the vif in: waits for its interface, makes it a port of its bridge, reads that back
 * from the kernel, runs the administrator's hooks, and writes hotplug-status = "connected".
 * What is already so is left alone, so that it also repairs a vif, or changes it in place.
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
 * All changes as JSON: {"changes":["link set dev vif3.0 master xenbr0"]}. Later versions may
 * add to it. It lives as long as the plan. NULL for NULL.
 */
const char *xennet_plan_json(const xennet_plan *plan);

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
 * Does in this process what the hotplug script does when libxl executes it with these
 * arguments and this environment, both as execve(2) has them: arrays that end with NULL,
 * `argv[0]` the script's name, `envp` of "NAME=VALUE". The process's own environment is not
 * read; a NULL `envp` is an empty one.
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
