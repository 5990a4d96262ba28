/* What may keep a vif from working although it is plugged. */
#include "test.h"

int main(int argc, char **argv)
{
    xennet *net;
    xennet_vif *vif = NULL;
    xennet_plan *done = NULL;

    CHECK(argc == 3);
    net = open_net(argv);
    OK(xennet_vif_new(1, 0, &vif, &error));
    OK(xennet_vif_online(net, vif, &done, &error));
    CHECK(xennet_plan_warning_count(done) > 0);
    printf("%s\n", xennet_plan_warning(done, 0));
    CHECK(strstr(xennet_plan_json(done), "\"warnings\":[\""));
    CHECK(!xennet_plan_warning(done, xennet_plan_warning_count(done)));
    CHECK(!strstr(xennet_plan_text(done), xennet_plan_warning(done, 0)));
    xennet_plan_free(done);
    xennet_vif_free(vif);
    xennet_free(net);
    return 0;
}
