/*
 * Prints the state of every vif, and again of each that changes, until its standard input ends.
 *
 *     cc watch.c $(pkg-config --cflags --libs xennet) -o watch && ./watch
 */
#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <libxennet.h>

static void show(xennet *net, unsigned int domid, unsigned int devid)
{
    xennet_vif *vif = NULL;
    xennet_status *status = NULL;
    xennet_error *error = NULL;

    if (xennet_vif_new(domid, devid, &vif, &error) || xennet_vif_status(net, vif, &status, &error)) {
        fprintf(stderr, "watch: %s\n", xennet_error_message(error));
    } else {
        const char *master = xennet_status_master(status), *told = xennet_status_hotplug_status(status);

        printf("vif %u.%u: %s, bridge %s, mtu %u, hotplug-status %s\n", domid, devid,
               !xennet_status_ifname(status) ? "no interface" : xennet_status_up(status) ? "up" : "down",
               master ? master : "none", xennet_status_mtu(status), told && *told ? told : "none");
        fflush(stdout);
    }
    xennet_error_free(error);
    xennet_status_free(status);
    xennet_vif_free(vif);
}

static void show_all(xennet *net)
{
    xennet_vif_list *vifs = NULL;
    size_t i;

    if (xennet_list_vifs(net, &vifs, NULL) == 0) {
        for (i = 0; i < xennet_vif_list_count(vifs); i++)
            show(net, xennet_vif_list_domid(vifs, i), xennet_vif_list_devid(vifs, i));
    }
    xennet_vif_list_free(vifs);
}

static void changed(const xennet_event *event, void *user)
{
    xennet *net = (xennet *)user;

    switch (xennet_event_kind(event)) {
    case XENNET_EVENT_VIF:
        show(net, xennet_event_domid(event), xennet_event_devid(event));
        break;
    case XENNET_EVENT_LINK:
    case XENNET_EVENT_LINK_GONE:
        break;
    default: /* XENNET_EVENT_EVERYTHING, and whatever a later version may have */
        show_all(net);
    }
}

int main(void)
{
    xennet *net = NULL;
    xennet_events *events = NULL;
    xennet_error *error = NULL;
    struct pollfd fds[2];
    char byte;
    int failed;

    failed = xennet_open(&net, &error) || xennet_events_open(net, &events, &error);
    fds[0].fd = xennet_events_fd(events);
    fds[1].fd = STDIN_FILENO;
    fds[0].events = fds[1].events = POLLIN;
    while (!failed && poll(fds, 2, -1) > 0) {
        if (fds[1].revents && read(STDIN_FILENO, &byte, 1) <= 0)
            break;
        if (fds[0].revents)
            failed = xennet_events_dispatch(events, changed, net, &error);
    }
    if (failed)
        fprintf(stderr, "watch: %s\n", xennet_error_message(error));
    xennet_error_free(error);
    xennet_events_free(events);
    xennet_free(net);
    return failed != 0;
}
