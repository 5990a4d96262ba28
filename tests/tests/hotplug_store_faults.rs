//! XenStore in every bad mood: a plug says what is wrong and changes nothing, an unplug goes on without it.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use tempfile::TempDir;
use xennet_tests::hotplug::{Dom0, Outcome, Script, State, VIF};
use xennet_tests::strace;

const ONLINE: [&str; 2] = ["online", "type_if=vif"];
const OFFLINE: [&str; 2] = ["offline", "type_if=vif"];

/// Calls the script with the XenStore at another socket than the dom0's own.
fn call(dom0: &Dom0, args: &[&str], socket: &Path) -> Outcome {
    dom0.call(Script::Ours, VIF, args, &[("XENSTORED_PATH", socket.to_str().unwrap())])
}

/// A plug fails with these words; an unplug of a vif that is plugged, renamed or not, takes it out of its bridge.
fn assert_survived(dom0: &Dom0, socket: &Path, words: &str) {
    dom0.forget(VIF);
    dom0.boot(VIF, &[]);
    let before = dom0.state();
    let outcome = call(dom0, &ONLINE, socket);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    assert!(outcome.took < Duration::from_secs(30), "{:?}", outcome.took);
    assert_eq!(dom0.state(), before);

    for keys in [&[][..], &[("vifname", "web")]] {
        dom0.forget(VIF);
        dom0.boot(VIF, keys);
        dom0.online(Script::Ours, VIF).succeeded();
        let outcome = call(dom0, &OFFLINE, socket);
        outcome.succeeded();
        assert!(outcome.took < Duration::from_secs(30), "{:?}", outcome.took);
        assert_unplugged(dom0, &dom0.state());
    }
}

fn assert_unplugged(dom0: &Dom0, state: &State) {
    let ports: Vec<_> = state.iter().filter(|(_, value)| *value == "xenbr0").collect();
    assert!(
        ports.iter().all(|(fact, _)| *fact == "link uplink master" || fact.starts_with("store")),
        "{ports:?}"
    );
    let left: Vec<_> = fs::read_dir(dom0.run_dir()).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn it_takes_the_connection_and_never_answers() {
    let dom0 = Dom0::new();
    let dir = TempDir::new().unwrap();
    let socket = dir.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert_survived(&dom0, &socket, " timed out (errno 110): no answer within 5s");
}

#[test]
fn it_does_not_even_take_the_connection() {
    let dom0 = Dom0::new();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("socket");
    let listener =
        socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    // Room for one, which is taken.
    let _waiting = UnixStream::connect(&path).unwrap();
    assert_survived(&dom0, &path, " timed out (errno 110)");
}

#[test]
fn it_is_not_there_or_listens_no_more() {
    let dom0 = Dom0::new();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("socket");
    assert_survived(&dom0, &path, "socket: No such file or directory (errno 2); start xenstored");
    drop(UnixListener::bind(&path).unwrap());
    assert_survived(&dom0, &path, "socket: Connection refused (errno 111); start xenstored");
}

#[test]
fn it_lets_nobody_in() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    let before = dom0.state();
    // Root is let in everywhere, so the refusal is strace's.
    let traced = strace::failing_from(
        &dom0.command(Script::Ours, VIF, &ONLINE, &[]),
        "connect",
        1,
        "EACCES",
    );
    assert!(traced.struck);
    assert_eq!(traced.outcome.code, Some(1));
    let said = traced.outcome.stderr;
    assert!(
        said.contains("Permission denied (errno 13); XenStore is root's: run as root"),
        "{said}"
    );
    assert_eq!(dom0.state(), before);

    dom0.online(Script::Ours, VIF).succeeded();
    let command = dom0.command(Script::Ours, VIF, &OFFLINE, &[]);
    let traced = strace::failing_from(&command, "connect", 1, "EACCES");
    assert!(traced.struck);
    traced.outcome.succeeded();
    assert_unplugged(&dom0, &dom0.state());
}

#[test]
fn it_says_nonsense() {
    let dom0 = Dom0::new();
    let dir = TempDir::new().unwrap();
    let header = |op: u32, id: u32, length: u32| -> Vec<u8> {
        [op, id, 0, length].into_iter().flat_map(u32::to_ne_bytes).collect()
    };
    let error = move |id, word: &[u8]| {
        let length = u32::try_from(word.len()).unwrap();
        [header(16, id, length), word.to_vec()].concat()
    };
    let all: [(&str, Answer, &str); 6] = [
        ("again", Box::new(move |_, id| (error(id, b"EAGAIN\0"), Then::GoOn)), "(errno 11)"),
        (
            "unheard",
            Box::new(move |_, id| (error(id, b"E\n\x1b[2J\0"), Then::GoOn)),
            "XenStore said \"E\\n\\u{1b}[2J\"",
        ),
        (
            "half",
            Box::new(move |op, id| ([header(op, id, 9), b"half".to_vec()].concat(), Then::HangUp)),
            "XenStore closed the connection",
        ),
        (
            "huge",
            Box::new(move |op, id| (header(op, id, u32::MAX), Then::GoOn)),
            "Protocol error (errno 71): XenStore announced",
        ),
        (
            "others",
            Box::new(move |op, id| (header(op, id.wrapping_add(77), 0), Then::GoOn)),
            "which is not open",
        ),
        ("mute", Box::new(|_, _| (Vec::new(), Then::HangUp)), "XenStore closed the connection"),
    ];
    for (name, answer, words) in all {
        let path = dir.path().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || serve(&listener, &answer));
        assert_survived(&dom0, &path, words);
    }
}

/// What is answered to a request of this type and number.
type Answer = Box<dyn Fn(u32, u32) -> (Vec<u8>, Then) + Send>;

#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    HangUp,
}

/// Serves one connection after the other; ends with the test's process.
fn serve(listener: &UnixListener, answer: &Answer) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        while let Some((op, id)) = request(&mut stream) {
            let (bytes, then) = answer(op, id);
            // The client may have had enough.
            if stream.write_all(&bytes).is_err() || then == Then::HangUp {
                break;
            }
        }
    }
}

fn request(stream: &mut UnixStream) -> Option<(u32, u32)> {
    let mut header = [0; 16];
    stream.read_exact(&mut header).ok()?;
    let field = |at: usize| u32::from_ne_bytes(header.get(at..at + 4).unwrap().try_into().unwrap());
    let mut payload = vec![0; usize::try_from(field(12)).unwrap()];
    stream.read_exact(&mut payload).ok()?;
    Some((field(0), field(4)))
}
