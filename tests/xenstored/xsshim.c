/*
 * LD_PRELOAD: lets xenstored and oxenstored of Xen 4.17 run where there is no Xen, many at once.
 *
 * What they ask of the hypervisor is answered with success and nothing behind it: domains can be introduced, their
 * rings are empty pages and no event ever comes. Their fixed paths are led to $XENSTORED_RUNDIR:
 * /var/run/xenstored/NAME and /proc/xen/NAME become $XENSTORED_RUNDIR/NAME.
 *
 * gcc -shared -fPIC -o xsshim.so xsshim.c
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define REAL(function) ((__typeof__(&function)) dlsym(RTLD_NEXT, #function))

/* Where they may write, for one call at a time: neither daemon has threads. */
static const char *led(const char *path)
{
	static const char *const fixed[] = { "/var/run/xenstored/", "/proc/xen/" };
	static char here[4096];
	const char *dir = getenv("XENSTORED_RUNDIR");
	size_t i;

	for (i = 0; dir && i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (!strncmp(path, fixed[i], strlen(fixed[i]))) {
			snprintf(here, sizeof(here), "%s/%s", dir, path + strlen(fixed[i]));
			return here;
		}
	}
	return path;
}

int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return REAL(open)(led(path), flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int unlink(const char *path)
{
	return REAL(unlink)(led(path));
}

int mkdir(const char *path, mode_t mode)
{
	/* oxenstored makes the directory of its socket: we have one. */
	if (!strcmp(path, "/var/run/xenstored"))
		return 0;
	return REAL(mkdir)(path, mode);
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	struct sockaddr_un here = { .sun_family = AF_UNIX };
	const char *path;

	if (address->sa_family != AF_UNIX)
		return REAL(bind)(fd, address, length);
	path = led(((const struct sockaddr_un *) address)->sun_path);
	if (strlen(path) >= sizeof(here.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(here.sun_path, path);
	return REAL(bind)(fd, (struct sockaddr *) &here, sizeof(here));
}

/* oxenstored raises its limit of open files, which a container may not. */
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	return 0;
}

int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit)
{
	return 0;
}

/* A handle is never looked into, only compared with NULL. */
static char handle;

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild_logger, unsigned flags)
{
	return (xc_interface *) &handle;
}

int xc_interface_close(xc_interface *xch)
{
	return 0;
}

/* Every domain exists. */
int xc_domain_getinfo(xc_interface *xch, uint32_t first, unsigned max, xc_dominfo_t *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = first;
	return 1;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
	return (xengnttab_handle *) &handle;
}

int xengnttab_close(xengnttab_handle *xgt)
{
	return 0;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t count)
{
	return 0;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	return mmap(NULL, XC_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start, uint32_t count)
{
	return munmap(start, (size_t) count * XC_PAGE_SIZE);
}

/* Polled by the daemons, and never readable. */
static int quiet[2] = { -1, -1 };

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	if (quiet[0] < 0 && pipe2(quiet, O_NONBLOCK | O_CLOEXEC) < 0)
		return NULL;
	return (xenevtchn_handle *) &handle;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd, unsigned open_flags)
{
	return xenevtchn_open(logger, open_flags);
}

int xenevtchn_close(xenevtchn_handle *xce)
{
	return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
	return quiet[0];
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
	return 1;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid, evtchn_port_t remote_port)
{
	return 100 + domid;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	errno = EAGAIN;
	return -1;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}
