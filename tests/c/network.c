/* The host's side: planned, started, looked at, stopped; on trial, confirmed and not. */
#include "test.h"

#include <sys/wait.h>

static const char *const config = "[[bridge]]\nname = \"xenbr7\"\naddresses = [\"192.0.2.7/24\"]\n";

static xennet_network_state *look(xennet *net)
{
    xennet_network_state *state = NULL;

    OK(xennet_network_status(net, &state, &error));
    return state;
}

static void is_there(xennet *net, int expected)
{
    xennet_bridge *bridge = NULL;
    int exists = -1;

    OK(xennet_bridge_new("xenbr7", &bridge, &error));
    OK(xennet_bridge_exists(net, bridge, &exists, &error));
    CHECK(exists == expected);
    xennet_bridge_free(bridge);
}

/* It ends well, and is nobody's zombie. */
static void ended(int watchdog)
{
    int status = -1;

    CHECK(watchdog > 0);
    CHECK(waitpid(watchdog, &status, 0) == watchdog);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv)
{
    const char *program;
    xennet *net;
    xennet_plan *plan = NULL;
    xennet_network_state *state;
    int watchdog = -1;

    CHECK(argc == 4);
    program = argv[3];
    net = open_net(argv);
    OK(xennet_set_root_dir(net, argv[1], &error));
    OK(xennet_set_config(net, config, &error));

    OK(xennet_network_plan_start(net, &plan, &error));
    CHECK(strstr(xennet_plan_text(plan), "link add xenbr7") && strstr(xennet_plan_text(plan), "192.0.2.7/24"));
    CHECK(strstr(xennet_plan_json(plan), "\"changes\":[\""));
    xennet_plan_free(plan);
    state = look(net);
    CHECK(!xennet_network_state_started(state) && !xennet_network_state_error(state));
    CHECK(!xennet_plan_is_empty(xennet_network_state_drift(state)));
    xennet_network_state_free(state);
    is_there(net, 0);

    /* Kept at once; twice is once. */
    OK(xennet_network_start(net, &plan, &error));
    CHECK(!xennet_plan_is_empty(plan));
    xennet_plan_free(plan);
    OK(xennet_network_start(net, &plan, &error));
    CHECK(xennet_plan_is_empty(plan));
    xennet_plan_free(plan);
    is_there(net, 1);
    state = look(net);
    CHECK(xennet_network_state_started(state) == 1 && xennet_plan_is_empty(xennet_network_state_drift(state)));
    CHECK(!xennet_network_state_unconfirmed(state) && !xennet_network_state_watched(state));
    CHECK(xennet_network_state_seconds_left(state) == 0 && !xennet_network_state_rolled_back(state));
    CHECK(strstr(xennet_network_state_json(state), "\"started\":true"));
    xennet_network_state_free(state);
    FAILS(xennet_network_confirm(net, &error), ENOENT, "no start waits to be confirmed");
    /* There is nothing to do, and nothing to confirm. */
    OK(xennet_network_start_on_trial(net, program, 60, 1, &watchdog, NULL, &error));
    CHECK(watchdog == 0 && waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
    OK(xennet_network_plan_stop(net, 0, &plan, &error));
    CHECK(strstr(xennet_plan_text(plan), "link delete dev xenbr7"));
    xennet_plan_free(plan);
    OK(xennet_network_stop(net, 0, &plan, &error));
    CHECK(!xennet_plan_is_empty(plan));
    xennet_plan_free(plan);
    OK(xennet_network_stop(net, 0, NULL, &error));
    is_there(net, 0);

    /* On trial, and confirmed. */
    OK(xennet_network_start_on_trial(net, program, 3600, 1, &watchdog, &plan, &error));
    CHECK(!xennet_plan_is_empty(plan));
    xennet_plan_free(plan);
    state = look(net);
    CHECK(xennet_network_state_unconfirmed(state) == 1 && xennet_network_state_watched(state) == 1);
    CHECK(xennet_network_state_seconds_left(state) > 0);
    xennet_network_state_free(state);
    FAILS(xennet_network_start(net, NULL, &error), EBUSY, "the last start is unconfirmed");
    OK(xennet_network_confirm(net, &error));
    ended(watchdog);
    is_there(net, 1);
    OK(xennet_network_stop(net, 0, NULL, &error));

    /* Not confirmed: the end of the watchdog says that it is all taken back. */
    OK(xennet_network_start_on_trial(net, program, 0, 1, &watchdog, NULL, &error));
    ended(watchdog);
    is_there(net, 0);
    state = look(net);
    CHECK(!xennet_network_state_started(state) && !xennet_network_state_unconfirmed(state));
    IS(xennet_network_state_rolled_back(state), "nobody confirmed it in time");
    xennet_network_state_free(state);
    FAILS(xennet_network_confirm(net, &error), ENOENT, "nobody confirmed it in time");

    /* Without a watchdog nothing is begun; and no child is left behind. */
    watchdog = -1;
    CHECK(xennet_network_start_on_trial(net, "/nonexistent", 60, 1, &watchdog, NULL, &error) < 0);
    /* Not ENOENT, because the vfork(2) of valgrind is a fork(2): its parent hears nothing of what execve(2) says. */
    CHECK(strstr(xennet_error_message(error), "start the watchdog: "));
    xennet_error_free(error);
    FAILS(xennet_network_start_on_trial(net, "/bin/true", 60, 1, &watchdog, NULL, &error), EIO, "nothing was changed");
    CHECK(watchdog == -1 && waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
    is_there(net, 0);

    /* What cannot be. */
    OK(xennet_set_config(net, "[[bridge]]\nname = \"xenbr7\"\nuplink = \"nothere\"\n", &error));
    state = look(net);
    CHECK(!xennet_network_state_drift(state) && xennet_error_errno(xennet_network_state_error(state)) > 0);
    xennet_network_state_free(state);
    xennet_free(net);
    return 0;
}
