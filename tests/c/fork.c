/* A child opens a handle of its own and frees its copy of its parent's, which goes on as if nothing had been. */
#include "test.h"

#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    xennet *net;
    xennet_vif *vif = NULL;
    xennet_status *status = NULL;
    pid_t child;
    int code;

    CHECK(argc == 3);
    net = open_net(argv);
    OK(xennet_vif_new(1, 0, &vif, &error));
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        xennet *own = open_net(argv);

        OK(xennet_vif_online(own, vif, NULL, &error));
        xennet_free(own);
        xennet_vif_free(vif);
        xennet_free(net);
        _exit(0);
    }
    CHECK(waitpid(child, &code, 0) == child);
    CHECK(WIFEXITED(code) && WEXITSTATUS(code) == 0);
    OK(xennet_vif_status(net, vif, &status, &error));
    CHECK(xennet_plan_is_empty(xennet_status_drift(status)) && !xennet_status_error(status));
    xennet_status_free(status);
    xennet_vif_free(vif);
    xennet_free(net);
    return 0;
}
