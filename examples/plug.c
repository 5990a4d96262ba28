/*
 * Plugs a guest's vif into a bridge, as a toolstack would.
 *
 *     cc plug.c $(pkg-config --cflags --libs xennet) -o plug && ./plug 3 0 xenbr0
 */
#include <stdio.h>
#include <stdlib.h>

#include <libxennet.h>

int main(int argc, char **argv)
{
    xennet *net = NULL;
    xennet_vif *vif = NULL;
    xennet_plan *done = NULL;
    xennet_error *error = NULL;
    int failed;

    if (argc != 4) {
        fprintf(stderr, "usage: plug DOMID DEVID BRIDGE\n");
        return 2;
    }
    /* What XenStore says of the vif holds, but for the bridge, which overrides it. */
    failed = xennet_open(&net, &error)
        || xennet_load_config(net, "/etc/xen/xennet.toml", &error)
        || xennet_vif_new(strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10), &vif, &error)
        || xennet_vif_set(vif, "bridge", argv[3], &error)
        || xennet_vif_online(net, vif, &done, &error);
    if (failed)
        fprintf(stderr, "plug: %s\n", xennet_error_message(error));
    else
        fputs(xennet_plan_text(done), stdout);

    /* Each takes NULL, so there is one way out. */
    xennet_error_free(error);
    xennet_plan_free(done);
    xennet_vif_free(vif);
    xennet_free(net);
    return failed;
}
