//! The kernel of the calling thread's network namespace, over netlink: the only place that names `netlink_*`.
