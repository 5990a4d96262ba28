/* A hook is the only process that the library makes: it leaves no zombie, no signal handler and no open descriptor. */
#include "test.h"

#include <signal.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    xennet *net;
    xennet_vif *vif = NULL;
    struct sigaction action;

    CHECK(argc == 3);
    net = open_net(argv);
    OK(xennet_vif_new(1, 0, &vif, &error));
    OK(xennet_vif_online(net, vif, NULL, &error));
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    CHECK(sigaction(SIGCHLD, NULL, &action) == 0);
    CHECK(action.sa_handler == SIG_DFL);
    xennet_vif_free(vif);
    xennet_free(net);
    return 0;
}
