/* What the programs share. Each is given the directories of locks and of hooks, and says nothing when all is well. */
#ifndef TEST_H
#define TEST_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxennet.h>

static void fail(int line, const char *what, xennet_error *error)
{
    fprintf(stderr, "line %d: %s: %s\n", line, what, error ? xennet_error_message(error) : "is not so");
    exit(1);
}

#define CHECK(condition) do { if (!(condition)) fail(__LINE__, #condition, NULL); } while (0)

/* A call that must succeed. Its last argument is &error. */
#define OK(call) do { error = NULL; if ((call) != 0) fail(__LINE__, #call, error); CHECK(!error); } while (0)

/* A call that must fail in this way, and say these words. */
#define FAILS(call, number, words) do { \
    error = NULL; \
    CHECK((call) == -(number)); \
    CHECK(xennet_error_errno(error) == (number)); \
    if (!strstr(xennet_error_message(error), words)) fail(__LINE__, words, error); \
    xennet_error_free(error); \
    error = NULL; \
} while (0)

#define IS(text, expected) CHECK((text) && strcmp(text, expected) == 0)

static xennet_error *error;

/* This namespace and this XenStore, with the test's own directories. */
static xennet *open_net(char **argv)
{
    xennet *net = NULL;

    OK(xennet_open(&net, &error));
    OK(xennet_set_run_dir(net, argv[1], &error));
    OK(xennet_set_hook_dir(net, argv[2], &error));
    return net;
}

#endif
