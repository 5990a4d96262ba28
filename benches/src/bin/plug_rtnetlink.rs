//! Plugs one vif by the rtnetlink crate: `plug_rtnetlink online VIF`.

use xennet_benches::Result;
use xennet_benches::contender::Action;
use xennet_benches::contender::rtnetlink::LongLived;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let action = match args.first().map(String::as_str) {
        Some("online") => Action::Online,
        Some("offline") => Action::Offline,
        _ => return Err("online or offline, and a vif".into()),
    };
    LongLived::open()?.plug(action, args.get(1).ok_or("which vif?")?)
}
