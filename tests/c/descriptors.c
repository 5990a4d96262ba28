/* Every descriptor is close-on-exec, and none is left behind. */
#include "test.h"

#include <fcntl.h>
#include <unistd.h>

/* How many descriptors there are; checks those that are new since `before`. */
static int count(const char *open_before)
{
    int fd, open = 0;

    for (fd = 0; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);

        if (flags < 0)
            continue;
        open++;
        if (open_before && !open_before[fd])
            CHECK(flags & FD_CLOEXEC);
    }
    return open;
}

int main(int argc, char **argv)
{
    char open_before[256];
    xennet *net;
    xennet_events *events = NULL;
    xennet_vif *vif = NULL;
    xennet_error *other = NULL;
    int fd, before, more, turn;

    CHECK(argc == 3);
    for (fd = 0; fd < 256; fd++)
        open_before[fd] = fcntl(fd, F_GETFD) >= 0;
    before = count(NULL);
    for (turn = 0; turn < 3; turn++) {
        net = open_net(argv);
        OK(xennet_events_open(net, &events, &error));
        /* XenStore; netlink, XenStore, epoll, eventfd. */
        CHECK(count(open_before) == before + 5);
        OK(xennet_vif_new(1, 0, &vif, &error));
        OK(xennet_vif_online(net, vif, NULL, &error));
        OK(xennet_vif_set(vif, "bridge", "nobridge", &error));
        CHECK(xennet_vif_online(net, vif, NULL, &other) == -ENODEV);
        /* And netlink and nftables, once they were needed, and the lists of legacy iptables' tables where there are any. */
        more = count(open_before) - before;
        CHECK(more >= 7 && more <= 9);
        xennet_error_free(other);
        xennet_vif_free(vif);
        xennet_events_free(events);
        xennet_free(net);
        CHECK(count(open_before) == before);
    }
    return 0;
}
