/*
 * What a libxl that is linked with libxennet could do where it executes a vif's hotplug script today.
 *
 * libxl__async_exec_start() (tools/libs/light/libxl_aoutils.c) forks, and the child calls libxl__exec() with `args` and `env` of
 * libxl__get_hotplug_script_info(): `args` as execve() has them, `env` as names and values in turn. All else can stay as it
 * is, the 40 seconds, the kill and the exit code included; the child calls this instead, and saves the interpreter, its
 * libraries and dozens of tools:
 *
 *     if (!pid) {
 *         if (is_vif(aes))
 *             _exit(hotplug(args, aes->env));
 *         libxl__exec(...);
 *     }
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libxennet.h>

#define CONFIG "/etc/xen/xennet.toml"

/* The exit code of the script. */
static int hotplug(char *const args[], char *const env[])
{
    xennet *net = NULL;
    xennet_error *error = NULL;
    char **envp;
    size_t names = 0, i;
    int failed;

    while (env[names * 2] && env[names * 2 + 1])
        names++;
    envp = (char **)calloc(names + 1, sizeof(*envp));
    for (i = 0; envp && i < names; i++) {
        const char *name = env[i * 2], *value = env[i * 2 + 1];

        envp[i] = (char *)malloc(strlen(name) + strlen(value) + 2);
        if (envp[i])
            sprintf(envp[i], "%s=%s", name, value);
    }

    /*
     * A child opens a handle of its own: one that its parent has open is the parent's. A device that goes must go,
     * whatever has become of xenstored and of the configuration.
     */
    if (!strcmp(args[1], "offline") || !strcmp(args[1], "remove")) {
        failed = xennet_open(&net, NULL) && xennet_open_without_store(&net, &error);
        xennet_load_config(net, CONFIG, NULL);
    } else {
        failed = xennet_open(&net, &error) || xennet_load_config(net, CONFIG, &error);
    }
    failed = failed || !envp
        || xennet_hotplug(net, (const char *const *)args, (const char *const *)envp, NULL, &error);
    /* XenStore has it as hotplug-error, and libxl prints that. */
    if (error)
        fprintf(stderr, "%s: %s\n", args[0], xennet_error_message(error));

    xennet_error_free(error);
    xennet_free(net);
    for (i = 0; envp && i < names; i++)
        free(envp[i]);
    free(envp);
    return failed;
}

/* libxl's part: what it calls the script with for a vif (online, offline), and for a tap (add, remove). */
int main(int argc, char **argv)
{
    static char script[] = "/etc/xen/scripts/vif-bridge", type_vif[] = "type_if=vif", type_tap[] = "type_if=tap";
    char path[64], vif[32], interface[64];
    char *args[4], *env[16];
    int status, tap, n = 0;
    pid_t pid;

    if (argc != 4) {
        fprintf(stderr, "usage: libxl_hotplug online|offline|add|remove DOMID DEVID\n");
        return 2;
    }
    tap = !strcmp(argv[1], "add") || !strcmp(argv[1], "remove");
    sprintf(path, "backend/vif/%lu/%lu", strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    sprintf(vif, "vif%lu.%lu", strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    args[0] = script;
    args[1] = argv[1];
    args[2] = tap ? type_tap : type_vif;
    args[3] = NULL;
    env[n++] = (char *)"script";
    env[n++] = script;
    env[n++] = (char *)"XENBUS_TYPE";
    env[n++] = (char *)"vif";
    env[n++] = (char *)"XENBUS_PATH";
    env[n++] = path;
    env[n++] = (char *)"XENBUS_BASE_PATH";
    env[n++] = (char *)"backend";
    env[n++] = (char *)"netdev";
    env[n++] = (char *)"";
    env[n++] = (char *)"vif";
    env[n++] = vif;
    if (tap) {
        sprintf(interface, "%s-emu", vif);
        env[n++] = (char *)"INTERFACE";
        env[n++] = interface;
    }
    env[n] = NULL;

    pid = fork();
    if (pid == 0)
        _exit(hotplug(args, env));
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
