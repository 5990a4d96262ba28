/* What goes wrong, and what is said of it. */
#include "test.h"

int main(int argc, char **argv)
{
    xennet *net, *untouched;
    xennet_vif *vif = NULL;
    xennet_status *status = NULL;
    xennet_error *untouched_error;

    CHECK(argc == 3);
    net = open_net(argv);

    /* A value that cannot be is refused where it is set, and names its key. */
    OK(xennet_vif_new(1, 0, &vif, &error));
    FAILS(xennet_vif_set(vif, "mtu", "lots", &error), EINVAL, "mtu \"lots\": expected");
    FAILS(xennet_vif_set(vif, "brigde", "xenbr0", &error), EINVAL, "key \"brigde\": expected one of bridge, vifname");
    FAILS(xennet_vif_set_default(vif, "mac", "ff:ff:ff:ff:ff:ff", &error), EINVAL, "mac");
    FAILS(xennet_vif_new(65536, 0, &vif, &error), EINVAL, "domid \"65536\": expected a domain's id");
    FAILS(xennet_vif_new(65535, 4294967295u, &vif, &error), EINVAL, "interface name");

    /* Text that is none, and text that would like to be more than text. */
    FAILS(xennet_vif_set(vif, "\xff\xfe", "x", &error), EINVAL, "key \"\\xff\\xfe\": expected UTF-8");
    FAILS(xennet_vif_set(vif, "bridge", "\xff", &error), EINVAL, "bridge");
    FAILS(xennet_vif_set(vif, "vifname", "a\nb%s", &error), EINVAL, "vifname \"a\\nb%s\"");
    FAILS(xennet_set_config(net, "\xff", &error), EINVAL, "toml");

    /* NULL says which. */
    FAILS(xennet_vif_set(NULL, "mtu", "1500", &error), EINVAL, "vif: is NULL");
    FAILS(xennet_vif_set(vif, NULL, "1500", &error), EINVAL, "key: is NULL");
    FAILS(xennet_vif_set(vif, "mtu", NULL, &error), EINVAL, "value: is NULL");
    FAILS(xennet_vif_online(NULL, vif, NULL, &error), EINVAL, "net: is NULL");

    /* What cannot be done says what to do, in XenStore too. */
    OK(xennet_vif_set(vif, "bridge", "nobridge", &error));
    FAILS(xennet_vif_online(net, vif, NULL, &error), ENODEV, "create it with `xennet bridge create nobridge`");
    CHECK(xennet_vif_online(net, vif, NULL, NULL) == -ENODEV);
    OK(xennet_vif_status(net, vif, &status, &error));
    CHECK(!xennet_status_drift(status));
    CHECK(xennet_error_errno(xennet_status_error(status)) == ENODEV);
    CHECK(!xennet_error_detail(xennet_status_error(status)));
    IS(xennet_status_hotplug_status(status), "error");
    CHECK(strncmp(xennet_status_hotplug_error(status), "bridge nobridge: no such interface", 34) == 0);
    xennet_status_free(status);
    xennet_vif_free(vif);

    /* A vif that there is not. */
    OK(xennet_set_link_wait(net, 0, &error));
    OK(xennet_vif_new(7, 0, &vif, &error));
    FAILS(xennet_vif_online(net, vif, NULL, &error), ENOENT, "backend/vif/7/0");
    OK(xennet_vif_offline(net, vif, NULL, &error));
    xennet_vif_free(vif);

    /* The administrator's file. */
    FAILS(xennet_set_config(net, "[[bridge]]\nname = 7\n", &error), EINVAL, "line 2, column 8");
    OK(xennet_set_config(net, "[[bridge]]\nname = \"xenbr0\"\nuplink = \"uplink\"\n", &error));
    OK(xennet_load_config(net, "/nonexistent/xennet.toml", &error));
    FAILS(xennet_load_config(net, "/", &error), EISDIR, "read /");
    FAILS(xennet_set_run_dir(net, "", &error), EINVAL, "dir: is empty");

    /* Results are written on success only, errors on failure only. */
    untouched = net;
    FAILS(xennet_open_with_store("/nonexistent/socket", &untouched, &error), ENOENT, "/nonexistent/socket");
    CHECK(untouched == net);
    untouched_error = (xennet_error *)net;
    CHECK(xennet_set_link_wait(net, 1, &untouched_error) == 0);
    CHECK(untouched_error == (xennet_error *)net);

    /* Nothing comes from nothing. */
    CHECK(xennet_error_errno(NULL) == 0 && !xennet_error_message(NULL) && !xennet_error_detail(NULL));
    CHECK(xennet_plan_is_empty(NULL) == 1 && xennet_plan_count(NULL) == 0 && !xennet_plan_text(NULL));
    xennet_free(net);
    return 0;
}
