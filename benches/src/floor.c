/*
 * The floor of a command: what a static program takes that plugs a vif into a bridge and does nothing else. It knows
 * what to do beforehand, looks at nothing, locks nothing and takes nothing back.
 *
 *	floor online VIF BRIDGE [MTU-KEY STATUS-KEY]
 *	floor offline VIF BRIDGE [MTU-KEY STATUS-KEY]
 *	floor
 *
 * With keys, it writes 1500 and "connected" to the XenStore at $XENSTORED_PATH, both in one message. Without
 * arguments it does nothing: then it is the floor of starting and ending.
 */
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define XS_WRITE 11

static char out[1024];
static size_t length;

static void require(int holds)
{
	if (!holds)
		exit(1);
}

static void *append(const void *bytes, size_t size)
{
	char *start = out + length;

	if (bytes)
		memcpy(start, bytes, size);
	length += NLMSG_ALIGN(size);
	return start;
}

static struct rtattr *attribute(int type, const void *payload, size_t size)
{
	struct rtattr header = { RTA_LENGTH(size), type };
	struct rtattr *start = append(&header, sizeof(header));

	append(payload, size);
	return start;
}

static struct nlmsghdr *set_link(const char *name, int up, int flags)
{
	struct nlmsghdr *header = append(NULL, NLMSG_HDRLEN);
	struct ifinfomsg info = { .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP };

	header->nlmsg_type = RTM_SETLINK;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	append(&info, sizeof(info));
	attribute(IFLA_IFNAME, name, strlen(name) + 1);
	return header;
}

static void end(struct nlmsghdr *header)
{
	header->nlmsg_len = out + length - (char *)header;
}

static uint32_t index_of(int fd, const char *name)
{
	struct ifreq request = { 0 };

	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	require(ioctl(fd, SIOCGIFINDEX, &request) == 0);
	return request.ifr_ifindex;
}

static void tell_kernel(int online, const char *vif, const char *bridge)
{
	static const uint8_t mac[] = { 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	uint32_t master = online ? index_of(fd, bridge) : 0, mtu = 1500;
	uint8_t none = 1;
	struct nlmsghdr *header;
	struct { struct nlmsghdr header; struct nlmsgerr error; char rest[512]; } answer;

	if (online) {
		struct rtattr *spec, *family;

		header = set_link(vif, 0, 0);
		spec = attribute(IFLA_AF_SPEC, NULL, 0);
		family = attribute(AF_INET6, NULL, 0);
		attribute(8 /* IFLA_INET6_ADDR_GEN_MODE */, &none, sizeof(none));
		family->rta_len = out + length - (char *)family;
		spec->rta_len = out + length - (char *)spec;
		end(header);
	}
	header = set_link(vif, online, NLM_F_ACK);
	if (online) {
		attribute(IFLA_ADDRESS, mac, sizeof(mac));
		attribute(IFLA_MTU, &mtu, sizeof(mtu));
	}
	attribute(IFLA_MASTER, &master, sizeof(master));
	end(header);
	require(send(fd, out, length, 0) == (ssize_t)length);
	require(recv(fd, &answer, sizeof(answer), 0) >= (ssize_t)NLMSG_LENGTH(sizeof(answer.error)));
	require(answer.header.nlmsg_type == NLMSG_ERROR && answer.error.error == 0);
}

static void put(const char *path, const char *value)
{
	uint32_t header[] = { XS_WRITE, 0, 0, strlen(path) + 1 + strlen(value) };

	memcpy(out + length, header, sizeof(header));
	length += sizeof(header);
	memcpy(out + length, path, strlen(path) + 1);
	length += strlen(path) + 1;
	memcpy(out + length, value, strlen(value));
	length += strlen(value);
}

static void tell_store(const char *socket_path, const char *mtu, const char *status)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	/* Twice a header and "OK" with its NUL. */
	char answers[2 * (16 + 3)];
	size_t had = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	require(socket_path && strlen(socket_path) < sizeof(address.sun_path));
	strcpy(address.sun_path, socket_path);
	require(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	length = 0;
	put(mtu, "1500");
	put(status, "connected");
	require(write(fd, out, length) == (ssize_t)length);
	while (had < sizeof(answers)) {
		ssize_t got = read(fd, answers + had, sizeof(answers) - had);

		require(got > 0);
		had += got;
	}
	require(!strcmp(answers + 16, "OK") && !strcmp(answers + 35, "OK"));
}

int main(int argc, char **argv)
{
	int online;

	if (argc == 1)
		return 0;
	require(argc == 4 || argc == 6);
	online = !strcmp(argv[1], "online");
	tell_kernel(online, argv[2], argv[3]);
	if (online && argc == 6)
		tell_store(getenv("XENSTORED_PATH"), argv[4], argv[5]);
	return 0;
}
