//! XenStore: our own blocking client, and a store in memory that speaks the same wire protocol.
