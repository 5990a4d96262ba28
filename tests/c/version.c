/* The version, and what there is to test for. */
#include "test.h"

int main(void)
{
    char header[32];

    sprintf(header, "%d.%d.%d", XENNET_VERSION_MAJOR, XENNET_VERSION_MINOR, XENNET_VERSION_PATCH);
    IS(xennet_version(), header);
#if !XENNET_HAVE_VIF || !XENNET_HAVE_VIF_MODE || !XENNET_HAVE_VIF_ANNOUNCE || !XENNET_HAVE_BRIDGE || !XENNET_HAVE_GUARD \
    || !XENNET_HAVE_NETWORK || !XENNET_HAVE_HOTPLUG || !XENNET_HAVE_EVENTS
#error "a feature is missing"
#endif
    (void)open_net;
    return 0;
}
