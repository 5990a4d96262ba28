/* Threads with a handle each, at work at once: each on a vif of its own, and all on one. */
#include "test.h"

#include <pthread.h>

#define THREADS 8

struct work {
    pthread_t thread;
    char **argv;
    unsigned int domid;
};

static void *plug(void *argument)
{
    struct work *work = (struct work *)argument;
    xennet *net = NULL;
    xennet_vif *vif = NULL;
    xennet_error *mine = NULL;
    int turn;

    /* Not those of test.h: `error` is one for all. */
    if (xennet_open(&net, &mine) || xennet_set_run_dir(net, work->argv[1], &mine)
        || xennet_set_hook_dir(net, work->argv[2], &mine) || xennet_vif_new(work->domid, 0, &vif, &mine))
        fail(__LINE__, "open", mine);
    for (turn = 0; turn < 5; turn++) {
        if (xennet_vif_online(net, vif, NULL, &mine))
            fail(__LINE__, "online", mine);
        if (work->domid != 1 && xennet_vif_offline(net, vif, NULL, &mine))
            fail(__LINE__, "offline", mine);
    }
    if (xennet_vif_online(net, vif, NULL, &mine))
        fail(__LINE__, "online", mine);
    xennet_vif_free(vif);
    xennet_free(net);
    return NULL;
}

int main(int argc, char **argv)
{
    struct work work[THREADS];
    unsigned int i;

    CHECK(argc == 3);
    (void)open_net;
    for (i = 0; i < THREADS; i++) {
        work[i].argv = argv;
        /* The first four share vif1.0. */
        work[i].domid = i < 4 ? 1 : i;
        CHECK(pthread_create(&work[i].thread, NULL, plug, &work[i]) == 0);
    }
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(work[i].thread, NULL) == 0);
    return 0;
}
