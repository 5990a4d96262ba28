/* xenstored ends while we are connected to it: an error, not a SIGPIPE. Its process is the last argument. */
#include "test.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

static void hear(const xennet_event *event, void *user)
{
    (void)event;
    (void)user;
}

int main(int argc, char **argv)
{
    xennet *net;
    xennet_events *events = NULL;
    xennet_vif *vif = NULL;
    xennet_vif_list *vifs = NULL;
    struct sigaction action;
    struct pollfd fd;
    int code, turn;

    CHECK(argc == 4);
    net = open_net(argv);
    OK(xennet_events_open(net, &events, &error));
    OK(xennet_events_dispatch(events, hear, NULL, &error));
    OK(xennet_vif_new(1, 0, &vif, &error));
    OK(xennet_vif_online(net, vif, NULL, &error));

    CHECK(kill(atoi(argv[3]), SIGKILL) == 0);
    /* Whoever polls learns of it. */
    fd.fd = xennet_events_fd(events);
    fd.events = POLLIN;
    do {
        CHECK(poll(&fd, 1, -1) == 1);
        code = xennet_events_dispatch(events, hear, NULL, NULL);
    } while (code == 0);
    CHECK(code == -ECONNRESET);
    FAILS(xennet_events_dispatch(events, hear, NULL, &error), ENOTCONN, "connect anew");

    CHECK(xennet_list_vifs(net, &vifs, &error) == -ECONNRESET);
    CHECK(strstr(xennet_error_message(error), "XenStore closed the connection"));
    xennet_error_free(error);
    for (turn = 0; turn < 3; turn++)
        FAILS(xennet_list_vifs(net, &vifs, &error), ENOTCONN, "the connection was given up earlier");
    FAILS(xennet_open(&net, &error), ECONNREFUSED, "start xenstored");

    /* A device that goes must go. */
    OK(xennet_vif_offline(net, vif, NULL, &error));
    CHECK(sigaction(SIGPIPE, NULL, &action) == 0);
    CHECK(action.sa_handler == SIG_DFL);
    xennet_vif_free(vif);
    xennet_events_free(events);
    xennet_free(net);
    return 0;
}
