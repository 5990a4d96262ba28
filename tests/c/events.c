/* A poll loop that hears of vifs and interfaces. */
#include "test.h"

#include <poll.h>

struct heard {
    int everything, vif, link, gone, other;
    const char *name;
    xennet_events *drop;
};

static void hear(const xennet_event *event, void *user)
{
    struct heard *heard = (struct heard *)user;
    const char *name = xennet_event_ifname(event);

    switch (xennet_event_kind(event)) {
    case XENNET_EVENT_EVERYTHING:
        CHECK(xennet_event_domid(event) == UINT32_MAX && !name && xennet_event_ifindex(event) == 0);
        heard->everything++;
        break;
    case XENNET_EVENT_VIF:
        CHECK(!name && xennet_event_ifindex(event) == 0);
        if (xennet_event_domid(event) == 1 && xennet_event_devid(event) == 0)
            heard->vif++;
        break;
    case XENNET_EVENT_LINK:
        CHECK(name && xennet_event_ifindex(event) > 0 && xennet_event_devid(event) == UINT32_MAX);
        if (strcmp(name, heard->name) == 0)
            heard->link++;
        break;
    case XENNET_EVENT_LINK_GONE:
        CHECK(name && xennet_event_ifindex(event) > 0);
        if (strcmp(name, heard->name) == 0)
            heard->gone++;
        break;
    default:
        heard->other++;
    }
    xennet_events_free(heard->drop);
    heard->drop = NULL;
}

static int readable(xennet_events *events, int milliseconds)
{
    struct pollfd fd;

    fd.fd = xennet_events_fd(events);
    fd.events = POLLIN;
    return poll(&fd, 1, milliseconds);
}

/* Dispatches until nothing more is there. The kernel tells before it answers; XenStore may tell later. */
static struct heard drain(xennet_events *events, const char *name)
{
    struct heard heard;

    memset(&heard, 0, sizeof(heard));
    heard.name = name;
    while (readable(events, 0) > 0)
        OK(xennet_events_dispatch(events, hear, &heard, &error));
    CHECK(heard.other == 0);
    return heard;
}

int main(int argc, char **argv)
{
    xennet *net;
    xennet_events *events = NULL;
    xennet_bridge *bridge = NULL;
    xennet_vif *vif = NULL;
    struct heard heard;
    int fd;

    CHECK(argc == 3);
    net = open_net(argv);
    OK(xennet_events_open(net, &events, &error));
    fd = xennet_events_fd(events);

    /* The first event is there at once, so that nobody needs a second way to begin. */
    CHECK(readable(events, -1) == 1);
    heard = drain(events, "");
    CHECK(heard.everything == 1 && heard.vif == 0 && heard.link == 0);
    OK(xennet_events_dispatch(events, hear, &heard, &error));
    CHECK(readable(events, 0) == 0);

    OK(xennet_bridge_new("xenbr9", &bridge, &error));
    OK(xennet_bridge_create(net, bridge, NULL, &error));
    CHECK(readable(events, -1) == 1);
    heard = drain(events, "xenbr9");
    CHECK(heard.link > 0 && heard.gone == 0 && heard.vif == 0);
    OK(xennet_bridge_delete(net, bridge, 0, NULL, &error));
    CHECK(readable(events, -1) == 1);
    heard = drain(events, "xenbr9");
    CHECK(heard.gone == 1);

    /* A plug: the interface, and what XenStore is told. */
    OK(xennet_vif_new(1, 0, &vif, &error));
    OK(xennet_vif_online(net, vif, NULL, &error));
    CHECK(readable(events, -1) == 1);
    heard = drain(events, "vif1.0");
    CHECK(heard.link > 0 && heard.vif > 0);

    /* XenStore alone, but the kernel may still have something to tell of before: that nobody is behind the vif. */
    OK(xennet_vif_set(vif, "bridge", "nobridge", &error));
    CHECK(xennet_vif_online(net, vif, NULL, NULL) == -ENODEV);
    do {
        CHECK(readable(events, -1) == 1);
        heard = drain(events, "vif1.0");
    } while (heard.vif == 0);

    FAILS(xennet_events_dispatch(events, NULL, NULL, &error), EINVAL, "callback: is NULL");
    FAILS(xennet_events_dispatch(NULL, hear, &heard, &error), EINVAL, "events: is NULL");
    CHECK(xennet_events_fd(NULL) == -EINVAL && xennet_events_fd(events) == fd);
    CHECK(xennet_event_kind(NULL) == -EINVAL);

    /* A callback may free what calls it, and events need no network. */
    OK(xennet_bridge_create(net, bridge, NULL, &error));
    xennet_bridge_free(bridge);
    xennet_vif_free(vif);
    xennet_free(net);
    CHECK(readable(events, -1) == 1);
    memset(&heard, 0, sizeof(heard));
    heard.name = "xenbr9";
    heard.drop = events;
    OK(xennet_events_dispatch(events, hear, &heard, &error));
    CHECK(heard.link > 0 && !heard.drop);
    return 0;
}
