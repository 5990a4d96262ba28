//! The C ABI of xennet, `libxennet`: each function is one call into `xennet-core`.
//!
//! Handles are opaque boxes: one that C gives back is `Option<Box<T>>`, one that it lends is `Option<&T>`, so that what C
//! promises of a pointer is in its type, and NULL is a value like any other. [`boundary`] and [`c_text`] have the rest: panics,
//! errors and texts. Every exported name has this library's own prefix, so that it clashes with no other.
//! include/libxennet.h is made from these sources, comments included.
#![expect(
    unsafe_code,
    reason = "the boundary to C: exported names, and texts that C promises to be texts"
)]
#![expect(
    clippy::doc_markdown,
    clippy::doc_link_with_quotes,
    reason = "Doxygen reads these comments, and links xennet_open() by itself"
)]
#![expect(unreachable_pub, reason = "cbindgen wants public what C reaches")]

mod boundary;
mod c_text;

// In the header's order.
mod constants;

mod net;

mod error;

mod vif;

mod plan;

mod status;

mod list;

mod bridge;

mod guard;

mod network;

mod hotplug;

mod events;
