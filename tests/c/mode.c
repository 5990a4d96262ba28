/* A vif that is routed, though XenStore has the script of a bridge. */
#include "test.h"

int main(int argc, char **argv)
{
    static const char *const route[] = { "/etc/xen/scripts/vif-route", "online", "type_if=vif", NULL };
    static const char *const env[] = { "XENBUS_PATH=backend/vif/1/0", "vif=vif1.0", NULL };
    xennet *net;
    xennet_vif *vif = NULL;
    xennet_status *status = NULL;
    xennet_plan *plan = NULL;

    CHECK(argc == 3);
    net = open_net(argv);
    OK(xennet_vif_new(1, 0, &vif, &error));
    FAILS(xennet_vif_set_mode(vif, "Route", &error), EINVAL,
          "mode \"Route\": expected bridge, openvswitch, route or nat");
    OK(xennet_vif_set_mode(vif, "nat", &error));
    OK(xennet_vif_set_mode(vif, "", &error));
    OK(xennet_vif_status(net, vif, &status, &error));
    IS(xennet_status_mode(status), "bridge");
    xennet_status_free(status);

    /* The name of a script says so as well. */
    OK(xennet_hotplug_plan(net, route, env, &plan, &error));
    CHECK(strstr(xennet_plan_text(plan), "10.0.0.5") && !strstr(xennet_plan_text(plan), "master"));
    xennet_plan_free(plan);

    OK(xennet_vif_set_mode(vif, "route", &error));
    OK(xennet_vif_online(net, vif, NULL, &error));
    OK(xennet_vif_status(net, vif, &status, &error));
    IS(xennet_status_mode(status), "route");
    CHECK(!xennet_status_master(status) && xennet_status_up(status) == 1);
    IS(xennet_status_hotplug_status(status), "connected");
    CHECK(xennet_plan_is_empty(xennet_status_drift(status)) == 1);
    xennet_status_free(status);
    OK(xennet_vif_offline(net, vif, NULL, &error));
    xennet_vif_free(vif);
    xennet_free(net);
    return 0;
}
