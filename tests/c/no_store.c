/* Without XenStore. */
#include "test.h"

int main(int argc, char **argv)
{
    xennet *net = NULL;
    xennet_vif *vif = NULL;
    xennet_vif_list *vifs = NULL;
    xennet_status *status = NULL;

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
    xennet_vif_free(vif);
    xennet_free(net);
    return 0;
}
