/* The guard of a vif with an address: shown, asked about frames, damaged, restored, removed. */
#include "test.h"

/* An Ethernet frame with an IPv4 packet from 10.0.0.<last> in it. */
static unsigned char frame[64] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x16, 0x3e, 0x01, 0x02, 0x03, 0x08, 0x00, /* Ethernet */
    0x45, 0, 0, 50, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 5, 10, 0, 0, 1, /* IPv4 */
    8, 0, 0, 0 /* ICMP */
};

int main(int argc, char **argv)
{
    xennet *net;
    xennet_vif *vif = NULL, *other = NULL;
    xennet_guard *guard = NULL;
    xennet_verdict *verdict = NULL;
    xennet_guard_faults *faults = NULL;
    xennet_plan *plan = NULL;

    CHECK(argc == 3);
    net = open_net(argv);
    OK(xennet_vif_new(1, 0, &vif, &error));

    /* Nothing is guarded yet, and nothing should be. */
    OK(xennet_guard_show(net, &guard, &error));
    CHECK(xennet_guard_port_count(guard) == 0 && !xennet_guard_port(guard, 0));
    IS(xennet_guard_text(guard), "");
    IS(xennet_guard_json(guard), "[]");
    xennet_guard_free(guard);
    OK(xennet_guard_explain(net, "vif1.0", frame, sizeof(frame), &verdict, &error));
    CHECK(xennet_verdict_passes(verdict) == 1 && !xennet_verdict_rule(verdict));
    xennet_verdict_free(verdict);

    OK(xennet_vif_online(net, vif, NULL, &error));
    OK(xennet_guard_show(net, &guard, &error));
    CHECK(xennet_guard_port_count(guard) == 1);
    IS(xennet_guard_port(guard, 0), "vif1.0");
    CHECK(strstr(xennet_guard_record(guard, 0), "10.0.0.5"));
    CHECK(xennet_guard_sent_packets(guard, 0) >= xennet_guard_dropped_packets(guard, 0));
    CHECK(xennet_guard_sent_bytes(guard, 0) >= xennet_guard_dropped_bytes(guard, 0));
    CHECK(xennet_guard_sent_packets(guard, 1) == 0);
    CHECK(strncmp(xennet_guard_text(guard), "table bridge xennet: ", 21) == 0);
    CHECK(strstr(xennet_guard_json(guard), "\"port\":\"vif1.0\""));
    xennet_guard_free(guard);

    /* One vif's, and another's. */
    OK(xennet_vif_guard(net, vif, &guard, &error));
    CHECK(xennet_guard_port_count(guard) == 1);
    xennet_guard_free(guard);
    OK(xennet_vif_new(7, 0, &other, &error));
    OK(xennet_vif_guard(net, other, &guard, &error));
    CHECK(xennet_guard_port_count(guard) == 0);
    xennet_guard_free(guard);
    xennet_vif_free(other);

    /* Its own address, another one, and what is no frame at all. */
    OK(xennet_guard_explain(net, "vif1.0", frame, sizeof(frame), &verdict, &error));
    CHECK(xennet_verdict_passes(verdict) == 1);
    xennet_verdict_free(verdict);
    frame[29] = 9;
    OK(xennet_guard_explain(net, "vif1.0", frame, sizeof(frame), &verdict, &error));
    CHECK(xennet_verdict_passes(verdict) == 0);
    IS(xennet_verdict_rule(verdict), "source is not its own");
    CHECK(strstr(xennet_verdict_text(verdict), "source is not its own\n"));
    CHECK(strstr(xennet_verdict_json(verdict), "\"passes\":false"));
    xennet_verdict_free(verdict);
    OK(xennet_guard_explain(net, "vif1.0", frame, 3, &verdict, &error));
    CHECK(xennet_verdict_passes(verdict) == 0);
    xennet_verdict_free(verdict);
    FAILS(xennet_guard_explain(net, "vif9.9", frame, 64, &verdict, &error), ENODEV, "vif9.9: no such interface");

    /* Somebody flushes the ruleset. */
    OK(xennet_guard_check(net, &faults, &error));
    CHECK(xennet_guard_faults_count(faults) == 0);
    xennet_guard_faults_free(faults);
    CHECK(system("nft flush ruleset") == 0);
    OK(xennet_guard_check(net, &faults, &error));
    CHECK(xennet_guard_faults_count(faults) == 1);
    IS(xennet_guard_faults_port(faults, 0), "vif1.0");
    CHECK(!xennet_plan_is_empty(xennet_guard_faults_repair(faults, 0)) && !xennet_guard_faults_error(faults, 0));
    CHECK(!xennet_guard_faults_port(faults, 1) && !xennet_guard_faults_repair(faults, 1));
    xennet_guard_faults_free(faults);
    OK(xennet_guard_restore(net, &plan, &error));
    CHECK(!xennet_plan_is_empty(plan));
    xennet_plan_free(plan);
    OK(xennet_guard_restore(net, &plan, &error));
    CHECK(xennet_plan_is_empty(plan));
    xennet_plan_free(plan);

    FAILS(xennet_guard_remove(net, 0, NULL, &error), EBUSY, "vif1.0");
    FAILS(xennet_guard_plan_remove(net, 0, &plan, &error), EBUSY, "vif1.0");
    OK(xennet_guard_plan_remove(net, 1, &plan, &error));
    CHECK(xennet_plan_count(plan) == 1);
    xennet_plan_free(plan);
    OK(xennet_guard_remove(net, 1, NULL, &error));
    OK(xennet_guard_remove(net, 0, &plan, &error));
    CHECK(xennet_plan_is_empty(plan));
    xennet_plan_free(plan);

    xennet_vif_free(vif);
    xennet_free(net);
    return 0;
}
