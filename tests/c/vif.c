/* A vif's whole life: listed, planned, plugged, looked at, changed, unplugged. */
#include "test.h"

int main(int argc, char **argv)
{
    xennet *net;
    xennet_vif *vif = NULL;
    xennet_vif_list *vifs = NULL;
    xennet_plan *plan = NULL, *done = NULL;
    xennet_status *status = NULL;
    size_t planned;

    CHECK(argc == 3);
    net = open_net(argv);

    OK(xennet_list_vifs(net, &vifs, &error));
    CHECK(xennet_vif_list_count(vifs) == 1);
    CHECK(xennet_vif_list_domid(vifs, 0) == 1 && xennet_vif_list_devid(vifs, 0) == 0);
    CHECK(xennet_vif_list_domid(vifs, 1) == UINT32_MAX);
    OK(xennet_vif_new(xennet_vif_list_domid(vifs, 0), xennet_vif_list_devid(vifs, 0), &vif, &error));
    xennet_vif_list_free(vifs);

    OK(xennet_vif_plan_online(net, vif, &plan, &error));
    planned = xennet_plan_count(plan);
    CHECK(planned > 0 && !xennet_plan_is_empty(plan));
    CHECK(strstr(xennet_plan_text(plan), "link set dev vif1.0 master xenbr0\n"));
    CHECK(strncmp(xennet_plan_json(plan), "{\"changes\":[\"", 13) == 0);
    CHECK(xennet_plan_warning_count(plan) == 0 && !xennet_plan_warning(plan, 0));
    IS(xennet_plan_line(plan, planned - 1), "xenstore-write backend/vif/1/0/hotplug-status connected");
    CHECK(!xennet_plan_line(plan, planned));
    xennet_plan_free(plan);

    OK(xennet_vif_status(net, vif, &status, &error));
    CHECK(!xennet_status_master(status) && !xennet_status_up(status) && !xennet_status_error(status));
    IS(xennet_status_hotplug_status(status), "");
    CHECK(xennet_plan_count(xennet_status_drift(status)) == planned);
    xennet_status_free(status);

    OK(xennet_vif_online(net, vif, &done, &error));
    CHECK(xennet_plan_count(done) == planned);
    xennet_plan_free(done);

    OK(xennet_vif_status(net, vif, &status, &error));
    IS(xennet_status_ifname(status), "vif1.0");
    CHECK(xennet_status_ifindex(status) > 0);
    CHECK(xennet_status_up(status) == 1 && xennet_status_carrier(status) == 1);
    CHECK(xennet_status_mtu(status) == 1500);
    IS(xennet_status_mac(status), "fe:ff:ff:ff:ff:ff");
    IS(xennet_status_master(status), "xenbr0");
    IS(xennet_status_hotplug_status(status), "connected");
    CHECK(!xennet_status_hotplug_error(status));
    IS(xennet_status_wanted(status, "bridge"), "xenbr0");
    IS(xennet_status_wanted(status, "mac"), "00:16:3e:01:02:03");
    CHECK(!xennet_status_wanted(status, "vlan") && !xennet_status_wanted(status, "brigde"));
    CHECK(xennet_plan_is_empty(xennet_status_drift(status)) == 1);
    xennet_status_free(status);

    /* Once more: nothing is left to do. */
    OK(xennet_vif_online(net, vif, &done, &error));
    CHECK(xennet_plan_is_empty(done));
    xennet_plan_free(done);

    /* Another MTU, in place; what was set before is forgotten. XenStore says nothing of it, so the default would do. */
    OK(xennet_vif_set_default(vif, "mtu", "1300", &error));
    OK(xennet_vif_set(vif, "mtu", "1280", &error));
    OK(xennet_vif_set(vif, "mtu", "1400", &error));
    OK(xennet_vif_online(net, vif, NULL, &error));
    OK(xennet_vif_status(net, vif, &status, &error));
    CHECK(xennet_status_mtu(status) == 1400);
    xennet_status_free(status);

    /* It has come from another host. */
    OK(xennet_vif_plan_announce(net, vif, &plan, &error));
    IS(xennet_plan_text(plan), "fdb replace 00:16:3e:01:02:03 dev vif1.0 master use dynamic\n"
       "announce 00:16:3e:01:02:03 on uplink\n");
    OK(xennet_vif_announce(net, vif, &done, &error));
    IS(xennet_plan_text(done), xennet_plan_text(plan));
    xennet_plan_free(done);
    xennet_plan_free(plan);
    OK(xennet_vif_announce(net, vif, NULL, NULL));
    FAILS(xennet_vif_announce(net, NULL, NULL, &error), EINVAL, "vif");

    OK(xennet_vif_plan_offline(net, vif, &plan, &error));
    CHECK(strstr(xennet_plan_text(plan), "link set dev vif1.0 nomaster\n"));
    xennet_plan_free(plan);
    OK(xennet_vif_offline(net, vif, &done, &error));
    xennet_plan_free(done);
    OK(xennet_vif_offline(net, vif, NULL, NULL));

    /* A vif holds on to no network. */
    xennet_free(net);
    OK(xennet_vif_set(vif, "mtu", "", &error));
    xennet_vif_free(vif);
    return 0;
}
