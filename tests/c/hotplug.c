/* What libxl executes, as a call. */
#include "test.h"

int main(int argc, char **argv)
{
    static const char *const env[] = {
        "PATH=/usr/bin", "script=/etc/xen/scripts/vif-bridge", "XENBUS_TYPE=vif", "XENBUS_PATH=backend/vif/1/0",
        "XENBUS_BASE_PATH=backend", "netdev=", "vif=vif1.0", NULL
    };
    static const char *const online[] = { "/etc/xen/scripts/vif-bridge", "online", "type_if=vif", NULL };
    static const char *const offline[] = { "/etc/xen/scripts/vif-bridge", "offline", "type_if=vif", NULL };
    static const char *const add[] = { "/etc/xen/scripts/vif-bridge", "add", "type_if=vif", NULL };
    static const char *const wrong[] = { "/etc/xen/scripts/vif-bridge", "explode", NULL };
    static const char *const none[] = { NULL };
    xennet *net;
    xennet_plan *plan = NULL;

    CHECK(argc == 3);
    net = open_net(argv);

    /* XenStore has bridge=xenbr0, and overrides this; of the mtu it says nothing. */
    OK(setenv("vif", "vif9.9", 1));
    OK(xennet_hotplug_plan(net, online, env, &plan, &error));
    CHECK(strstr(xennet_plan_text(plan), "link set dev vif1.0 master xenbr0\n"));
    xennet_plan_free(plan);
    OK(xennet_hotplug(net, online, env, &plan, &error));
    CHECK(xennet_plan_count(plan) > 1);
    xennet_plan_free(plan);
    OK(xennet_hotplug(net, online, env, &plan, &error));
    CHECK(xennet_plan_is_empty(plan));
    xennet_plan_free(plan);

    /* libxl calls the script of a vif for its tap as well, and the other way round. */
    OK(xennet_hotplug(net, add, env, &plan, &error));
    CHECK(xennet_plan_is_empty(plan));
    xennet_plan_free(plan);

    FAILS(xennet_hotplug(net, wrong, env, NULL, &error), EINVAL, "command \"explode\": expected online");
    FAILS(xennet_hotplug(net, none, env, NULL, &error), EINVAL, "no command");
    FAILS(xennet_hotplug(net, online, none, NULL, &error), EINVAL, "neither XENBUS_PATH nor vif is set");
    FAILS(xennet_hotplug(net, online, NULL, NULL, &error), EINVAL, "neither XENBUS_PATH nor vif is set");
    FAILS(xennet_hotplug(net, NULL, env, NULL, &error), EINVAL, "argv: is NULL");

    OK(xennet_hotplug(net, offline, env, NULL, &error));
    OK(xennet_hotplug(net, offline, env, NULL, &error));
    xennet_free(net);
    return 0;
}
