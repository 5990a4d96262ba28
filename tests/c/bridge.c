/* Bridges: made, looked at, refused, deleted. */
#include "test.h"

int main(int argc, char **argv)
{
    xennet *net;
    xennet_bridge *bridge = NULL, *other = NULL;
    xennet_plan *plan = NULL;
    xennet_names *names = NULL;
    int exists = -1;

    CHECK(argc == 3);
    net = open_net(argv);
    OK(xennet_bridge_new("xenbr9", &bridge, &error));
    OK(xennet_bridge_set(bridge, "mac", "02:00:00:00:00:09", &error));
    OK(xennet_bridge_set(bridge, "mtu", "9000", &error));
    FAILS(xennet_bridge_set(bridge, "stp", "maybe", &error), EINVAL, "stp \"maybe\": expected 0 or 1");
    FAILS(xennet_bridge_new("a/b", &other, &error), EINVAL, "a/b");

    OK(xennet_bridge_exists(net, bridge, &exists, &error));
    CHECK(exists == 0);
    OK(xennet_bridge_plan_create(net, bridge, &plan, &error));
    CHECK(strncmp(xennet_plan_line(plan, 0), "link add xenbr9 address 02:00:00:00:00:09", 41) == 0);
    xennet_plan_free(plan);
    OK(xennet_bridge_create(net, bridge, &plan, &error));
    CHECK(!xennet_plan_is_empty(plan));
    xennet_plan_free(plan);
    OK(xennet_bridge_create(net, bridge, &plan, &error));
    CHECK(xennet_plan_is_empty(plan));
    xennet_plan_free(plan);
    OK(xennet_bridge_exists(net, bridge, &exists, &error));
    CHECK(exists == 1);

    OK(xennet_bridge_set(bridge, "mtu", "1500", &error));
    FAILS(xennet_bridge_create(net, bridge, NULL, &error), EEXIST, "bridge xenbr9: exists with mtu 9000");

    OK(xennet_list_bridges(net, &names, &error));
    CHECK(xennet_names_count(names) == 2);
    IS(xennet_names_at(names, 0), "xenbr0");
    IS(xennet_names_at(names, 1), "xenbr9");
    CHECK(!xennet_names_at(names, 2));
    xennet_names_free(names);

    OK(xennet_bridge_new("xenbr0", &other, &error));
    OK(xennet_bridge_ports(net, other, &names, &error));
    CHECK(xennet_names_count(names) == 1);
    IS(xennet_names_at(names, 0), "uplink");
    xennet_names_free(names);
    FAILS(xennet_bridge_delete(net, other, 0, NULL, &error), EBUSY, "still has ports (uplink)");
    FAILS(xennet_bridge_plan_delete(net, other, 0, &plan, &error), EBUSY, "still has ports");
    OK(xennet_bridge_plan_delete(net, other, 1, &plan, &error));
    IS(xennet_plan_text(plan), "link delete dev xenbr0\n");
    xennet_plan_free(plan);
    OK(xennet_bridge_delete(net, other, 1, NULL, &error));
    OK(xennet_bridge_ports(net, other, &names, &error));
    CHECK(xennet_names_count(names) == 0);
    xennet_names_free(names);
    xennet_bridge_free(other);

    OK(xennet_bridge_delete(net, bridge, 0, NULL, &error));
    OK(xennet_bridge_delete(net, bridge, 0, &plan, &error));
    CHECK(xennet_plan_is_empty(plan));
    xennet_plan_free(plan);
    xennet_bridge_free(bridge);

    /* An interface that is no bridge is left alone. */
    OK(xennet_bridge_new("uplink", &bridge, &error));
    OK(xennet_bridge_exists(net, bridge, &exists, &error));
    CHECK(exists == 0);
    FAILS(xennet_bridge_delete(net, bridge, 1, NULL, &error), EINVAL, "not a Linux bridge");
    xennet_bridge_free(bridge);
    xennet_free(net);
    return 0;
}
