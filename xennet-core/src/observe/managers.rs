//! Who else configures an interface: only files are read, and nobody is asked.

use std::fs;
use std::path::{Path, PathBuf};

use crate::plan::{Managed, Manager};
use crate::types::IfName;

/// Those programs below `root` that configure the interface, and the file that says so.
pub(super) fn managers(root: &Path, index: u32, name: &IfName) -> Vec<Managed> {
    let found = [
        (Manager::Networkd, networkd(root, index)),
        (Manager::NetworkManager, network_manager(root, index)),
        (Manager::Ifupdown, ifupdown(root, name)),
    ];
    let managed =
        |(by, file): (Manager, Option<PathBuf>)| Some(Managed::new(name.clone(), by, file?));
    found.into_iter().filter_map(managed).collect()
}

/// Its state of each interface says what it does with it, and by which file.
fn networkd(root: &Path, index: u32) -> Option<PathBuf> {
    let state = root.join(format!("run/systemd/netif/links/{index}"));
    let text = fs::read_to_string(&state).ok()?;
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    match value("ADMIN_STATE") {
        // Seen, and left alone.
        None | Some("unmanaged" | "initialized" | "pending") => None,
        Some(_) => Some(value("NETWORK_FILE").map_or(state.clone(), PathBuf::from)),
    }
}

fn network_manager(root: &Path, index: u32) -> Option<PathBuf> {
    let state = root.join(format!("run/NetworkManager/devices/{index}"));
    let text = fs::read_to_string(&state).ok()?;
    text.lines().any(|line| line.trim() == "managed=true").then_some(state)
}

/// It has the interface up, or brings it up at the next boot.
fn ifupdown(root: &Path, name: &IfName) -> Option<PathBuf> {
    let state = root.join("run/network/ifstate");
    let up = fs::read_to_string(&state)
        .is_ok_and(|text| text.lines().any(|line| line.split('=').next() == Some(name.as_str())));
    let main = root.join("etc/network/interfaces");
    let more = fs::read_dir(root.join("etc/network/interfaces.d")).into_iter().flatten();
    let mut files: Vec<PathBuf> = more.flatten().map(|entry| entry.path()).collect();
    files.sort_unstable();
    files.insert(0, main);
    let configured = files.into_iter().find(|file| {
        fs::read_to_string(file).is_ok_and(|text| text.lines().any(|line| configures(line, name)))
    });
    configured.or_else(|| up.then_some(state))
}

/// `iface eth0 inet static`; `manual` only brings it up, as is right for the port of a bridge.
fn configures(line: &str, name: &IfName) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    matches!(words.as_slice(), ["iface", iface, _, method, ..] if *iface == name.as_str() && *method != "manual")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_known_by_its_own_files() {
        let root = std::env::temp_dir().join(format!("xennet-managers-{}", std::process::id()));
        let write = |file: &str, text: &str| {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let found = |index, name: &str| {
            let all = managers(&root, index, &name.parse().unwrap());
            all.iter()
                .map(|one| (one.by.to_string(), one.file.display().to_string()))
                .collect::<Vec<_>>()
        };
        assert_eq!(found(2, "eth0"), []);
        write(
            "run/systemd/netif/links/2",
            "ADMIN_STATE=configured\nOPER_STATE=routable\nNETWORK_FILE=/etc/systemd/network/10-eth0.network\n",
        );
        write("run/systemd/netif/links/3", "ADMIN_STATE=unmanaged\n");
        write("run/NetworkManager/devices/4", "[device]\nmanaged=true\n");
        write("run/NetworkManager/devices/5", "[device]\nmanaged=false\n");
        write(
            "etc/network/interfaces",
            "auto lo\niface lo inet loopback\nsource /etc/network/interfaces.d/*\niface eth7 inet manual\n",
        );
        write("etc/network/interfaces.d/eth6", "auto eth6\niface eth6 inet dhcp\n");
        write("run/network/ifstate", "lo=lo\neth8=eth8\n");
        let networkd =
            ("systemd-networkd".to_owned(), "/etc/systemd/network/10-eth0.network".to_owned());
        assert_eq!(found(2, "eth0"), [networkd]);
        assert_eq!(found(3, "eth3"), []);
        assert_eq!(found(4, "eth4")[0].0, "NetworkManager");
        assert_eq!(found(5, "eth5"), []);
        assert!(found(6, "eth6")[0].1.ends_with("interfaces.d/eth6"));
        assert_eq!(found(7, "eth7"), []);
        assert!(found(8, "eth8")[0].1.ends_with("ifstate"));
        fs::remove_dir_all(&root).unwrap();
    }
}
