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

    /* A child opens a handle of its own: one that its parent has open is the parent's. */
    failed = !envp
        || xennet_open(&net, &error)
        || xennet_load_config(net, "/etc/xen/xennet.toml", &error)
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

/* libxl's part: plugs the vif of a domain, and unplugs it. */
int main(int argc, char **argv)
{
    static char script[] = "/etc/xen/scripts/vif-bridge", type_if[] = "type_if=vif";
    char path[64], vif[64];
    char *args[4], *env[16];
    int status, n = 0;
    pid_t pid;

    if (argc != 4) {
        fprintf(stderr, "usage: libxl_hotplug online|offline DOMID DEVID\n");
        return 2;
    }
    sprintf(path, "backend/vif/%lu/%lu", strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    sprintf(vif, "vif%lu.%lu", strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    args[0] = script;
    args[1] = argv[1];
    args[2] = type_if;
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
    env[n] = NULL;

    pid = fork();
    if (pid == 0)
        _exit(hotplug(args, env));
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
