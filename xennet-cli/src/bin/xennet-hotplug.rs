//! `xennet-hotplug`: the hotplug script that libxl calls, by the name of the script that it stands in for.

use std::ffi::{OsStr, OsString};
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;
use xennet_cli::hotplug;

// musl's malloc keeps each size of block on pages of its own: twice the page faults of a process that lives for a
// millisecond.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    // All memory of a call in one request to the kernel, instead of one for each socket too.
    drop(black_box(Vec::<u8>::with_capacity(240 * 1024)));
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| OsString::from("vif-xennet"));
    let name = Path::new(&name).file_name().and_then(OsStr::to_str).unwrap_or("vif-xennet");
    hotplug::script(name, args).into()
}
