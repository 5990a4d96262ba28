/* The tap of an HVM guest, by a backend path that is given. */
#include "test.h"

int main(int argc, char **argv)
{
    xennet *net;
    xennet_vif *tap = NULL;
    xennet_status *status = NULL;

    CHECK(argc == 3);
    net = open_net(argv);
    OK(xennet_vif_new_tap(1, 0, &tap, &error));
    OK(xennet_vif_set_backend(tap, "/local/domain/0/backend/vif/1/0", &error));
    OK(xennet_vif_online(net, tap, NULL, &error));
    OK(xennet_vif_status(net, tap, &status, &error));
    IS(xennet_status_ifname(status), "vif1.0-emu");
    IS(xennet_status_master(status), "xenbr0");
    xennet_status_free(status);

    /* The kernel's own words. */
    OK(xennet_vif_set(tap, "mtu", "65535", &error));
    CHECK(xennet_vif_online(net, tap, NULL, &error) == -EINVAL);
    IS(xennet_error_detail(error), "mtu greater than device maximum");
    CHECK(strstr(xennet_error_message(error), "link set dev vif1.0-emu mtu 65535: Invalid argument (errno 22): mtu greater"));
    xennet_error_free(error);
    xennet_vif_free(tap);
    xennet_free(net);
    return 0;
}
