/* Without XenStore. */
#include "test.h"

int main(int argc, char **argv)
{
    xennet *net = NULL;
    xennet_vif *vif = NULL;
    xennet_vif_list *vifs = NULL;
    xennet_status *status = NULL;
    xennet_guard *guard = NULL;
    xennet_guard_faults *faults = NULL;

    CHECK(argc == 3);
    (void)open_net;
    OK(xennet_open_without_store(&net, &error));
    OK(xennet_set_run_dir(net, argv[1], &error));
    OK(xennet_set_hook_dir(net, argv[2], &error));
    OK(xennet_list_vifs(net, &vifs, &error));
    CHECK(xennet_vif_list_count(vifs) == 1);
    xennet_vif_list_free(vifs);
    OK(xennet_vif_new(1, 0, &vif, &error));
    OK(xennet_vif_set(vif, "bridge", "xenbr0", &error));
    OK(xennet_vif_online(net, vif, NULL, &error));
    OK(xennet_vif_status(net, vif, &status, &error));
    IS(xennet_status_master(status), "xenbr0");
    CHECK(!xennet_status_hotplug_status(status));
    xennet_status_free(status);
    /* What guests may do, only XenStore says; the host's own side it does not know. */
    FAILS(xennet_guard_check(net, &faults, &error), EINVAL, "only XenStore says");
    OK(xennet_guard_show(net, &guard, &error));
    CHECK(xennet_guard_port_count(guard) == 0);
    xennet_guard_free(guard);
    xennet_vif_free(vif);
    xennet_free(net);
    return 0;
}
