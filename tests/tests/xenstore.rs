//! The client against every XenStore there is: Xen's two daemons and our own. One suite, so that ours is like theirs.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use xennet_core::xenstore::{Access, Error, ErrorKind, Event, Permission, XenStore};
use xennet_tests::embedded_store::EmbeddedStore;
use xennet_tests::xenstored::{Xenstored, ask};

/// Long enough for any machine: what is waited for comes, or the test has failed.
const SOON: Duration = Duration::from_mins(1);

macro_rules! suite {
    (every { $($every:ident)* } not_oxenstored { $($not_oxenstored:ident)* }) => {
        mod embedded {
            $(#[test] fn $every() { super::$every(&super::EmbeddedStore::start().socket()); })*
            $(#[test] fn $not_oxenstored() { super::$not_oxenstored(&super::EmbeddedStore::start().socket()); })*
        }
        mod xenstored {
            $(#[test] fn $every() { super::$every(&super::Xenstored::start().socket()); })*
            $(#[test] fn $not_oxenstored() { super::$not_oxenstored(&super::Xenstored::start().socket()); })*
        }
        mod oxenstored {
            $(#[test] fn $every() { super::$every(&super::Xenstored::start_oxenstored().socket()); })*
        }
    };
}

suite! {
    every {
        what_is_written_is_read
        what_is_missing_is_none
        any_bytes_are_a_value
        many_are_read_in_one_go_and_in_order
        more_than_the_socket_holds_at_once
        paths_may_be_relative
        removing_twice_is_nothing
        a_directory_lists_its_children
        a_directory_larger_than_a_packet
        permissions_are_inherited_and_set
        a_transaction_is_all_or_nothing
        a_clash_runs_the_body_again
        endless_clashes_end
        a_panic_in_a_body_leaves_no_transaction_behind
        a_watch_fires_at_once_and_at_each_change
        a_transaction_tells_at_its_end
        relative_watches_tell_relative_paths
        an_unwatched_path_is_silent
        domains_by_their_number
        refusals_say_what_and_why
    }
    not_oxenstored {
        the_largest_value
        the_root_stays
    }
}

fn open(at: &Path) -> XenStore {
    let mut store = XenStore::connect(at).unwrap();
    store.set_timeout(SOON).unwrap();
    store
}

fn event(path: &str, token: &str) -> (String, String) {
    (path.into(), token.into())
}

/// The events up to that of a watch that is set only now: all that came before.
fn events(store: &mut XenStore) -> Vec<(String, String)> {
    store.watch("@introduceDomain", "barrier").unwrap();
    let mut events = Vec::new();
    loop {
        let Event { path, token, .. } = store.next_event(SOON).unwrap().expect("the barrier comes");
        if token == "barrier" {
            store.unwatch("@introduceDomain", "barrier").unwrap();
            return events;
        }
        events.push((path, token));
    }
}

fn what_is_written_is_read(at: &Path) {
    let mut store = open(at);
    store.write("/a/b/c", "hello").unwrap();
    assert_eq!(store.read("/a/b/c").unwrap().unwrap(), b"hello");
    assert_eq!(store.read("/a/b").unwrap().unwrap(), b"", "parents are made, and empty");
    assert_eq!(ask("xenstore-read", &["/a/b/c"], at), "hello\n");
    store.write("/a/b/c", "").unwrap();
    assert_eq!(store.read("/a/b/c").unwrap().unwrap(), b"");
    store.mkdir("/a/b/c").unwrap();
    store.mkdir("/m").unwrap();
    assert_eq!(store.read("/m").unwrap().unwrap(), b"");
}

fn what_is_missing_is_none(at: &Path) {
    let mut store = open(at);
    assert_eq!(store.read("/none/at/all").unwrap(), None);
    assert_eq!(store.directory("/none").unwrap(), None);
    assert_eq!(store.permissions("/none").unwrap(), None);
}

fn any_bytes_are_a_value(at: &Path) {
    let mut store = open(at);
    let value: Vec<u8> = (1..=255).collect();
    store.write("/bytes", &value).unwrap();
    assert_eq!(store.read("/bytes").unwrap().unwrap(), value);
}

fn many_are_read_in_one_go_and_in_order(at: &Path) {
    let mut store = open(at);
    store
        .write_many(&[
            ("/v/mac", "00:16:3e:01:02:03"),
            ("/v/mtu", "1500"),
            ("/v/mac", "00:16:3e:01:02:04"),
        ])
        .unwrap();
    let values = store.read_many(&["/v/mtu", "/v/none", "/v/mac", "/v"]).unwrap();
    let expected: [Option<&[u8]>; 4] = [Some(b"1500"), None, Some(b"00:16:3e:01:02:04"), Some(b"")];
    assert_eq!(values.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
    assert_eq!(store.read_many(&[""; 0]).unwrap().len(), 0);
}

fn more_than_the_socket_holds_at_once(at: &Path) {
    let mut store = open(at);
    let value = |n: usize| format!("{n}-{}", "x".repeat(2000));
    let paths: Vec<String> = (0..400).map(|n| format!("/big/n{n}")).collect();
    let pairs: Vec<_> = paths.iter().enumerate().map(|(n, path)| (path, value(n))).collect();
    store.write_many(&pairs).unwrap();
    let values = store.read_many(&paths).unwrap();
    for (n, read) in values.into_iter().enumerate() {
        assert_eq!(read.unwrap(), value(n).into_bytes());
    }
}

fn paths_may_be_relative(at: &Path) {
    let mut store = open(at);
    store.write("backend/vif/3/0/mac", "00:16:3e:01:02:03").unwrap();
    assert_eq!(
        store.read("/local/domain/0/backend/vif/3/0/mac").unwrap().unwrap(),
        b"00:16:3e:01:02:03"
    );
    assert_eq!(store.directory("backend/vif").unwrap().unwrap(), ["3"]);
}

fn removing_twice_is_nothing(at: &Path) {
    let mut store = open(at);
    store.write("/a/b/c", "1").unwrap();
    store.remove("/a/b").unwrap();
    store.remove("/a/b").unwrap();
    store.remove("/no/parent/either").unwrap();
    assert_eq!(store.read("/a/b/c").unwrap(), None);
    assert_eq!(store.directory("/a").unwrap().unwrap(), [""; 0]);
}

fn a_directory_lists_its_children(at: &Path) {
    let mut store = open(at);
    for name in ["one", "two", "three"] {
        store.mkdir(&format!("/d/{name}")).unwrap();
    }
    let names: BTreeSet<String> = store.directory("/d").unwrap().unwrap().into_iter().collect();
    assert_eq!(names, ["one", "two", "three"].map(String::from).into());
}

fn a_directory_larger_than_a_packet(at: &Path) {
    let mut store = open(at);
    let name = |n: usize| format!("n{n}-{}", "x".repeat(40));
    let names: Vec<String> = (0..500).map(name).collect();
    let pairs: Vec<_> = names.iter().map(|name| (format!("/large/{name}"), "")).collect();
    store.write_many(&pairs).unwrap();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let listed = store.directory("/large").unwrap().unwrap();
    assert_eq!(sorted(listed), sorted(names.clone()));
    let listed = store.transaction(|t| t.directory("/large")).unwrap().unwrap();
    assert_eq!(sorted(listed), sorted(names));
}

fn the_largest_value(at: &Path) {
    let mut store = open(at);
    let value = vec![b'v'; 4096 - "/largest\0".len()];
    store.write("/largest", &value).unwrap();
    assert_eq!(store.read("/largest").unwrap().unwrap(), value);
}

fn permissions_are_inherited_and_set(at: &Path) {
    let mut store = open(at);
    let list = [
        Permission { domid: 3, access: Access::None },
        Permission { domid: 4, access: Access::Read },
        Permission { domid: 5, access: Access::Both },
    ];
    store.mkdir("/p").unwrap();
    assert_eq!(
        store.permissions("/p").unwrap().unwrap(),
        [Permission { domid: 0, access: Access::None }]
    );
    store.set_permissions("/p", &list).unwrap();
    assert_eq!(store.permissions("/p").unwrap().unwrap(), list);
    store.write("/p/child", "").unwrap();
    assert_eq!(store.permissions("/p/child").unwrap().unwrap(), list);
    assert!(ask("xenstore-ls", &["-p", "/p"], at).contains("(n3,r4,b5)"));
}

fn a_transaction_is_all_or_nothing(at: &Path) {
    let (mut store, mut other) = (open(at), open(at));
    store
        .transaction(|t| {
            t.write("/t/a", "1")?;
            t.write_many(&[("/t/b", "2")])?;
            assert_eq!(t.read("/t/b")?.unwrap(), b"2", "it sees its own writes");
            assert_eq!(other.read("/t/a")?, None, "and nobody else does");
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(other.read("/t/a").unwrap().unwrap(), b"1");

    let undone: Result<(), String> = store
        .transaction(|t| {
            t.remove("/t")?;
            Err::<(), _>(Changed("the body's own reason".into()))
        })
        .map_err(|changed| changed.0);
    assert_eq!(undone.unwrap_err(), "the body's own reason");
    assert_eq!(store.read("/t/b").unwrap().unwrap(), b"2");
}

/// An error type of a caller.
struct Changed(String);

impl From<Error> for Changed {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

fn a_clash_runs_the_body_again(at: &Path) {
    let (mut store, mut other) = (open(at), open(at));
    store.write("/counter", "1").unwrap();
    let mut runs = 0;
    store
        .transaction(|t| {
            runs += 1;
            let old: u32 =
                String::from_utf8(t.read("/counter")?.unwrap()).unwrap().parse().unwrap();
            if runs == 1 {
                other.write("/counter", "10")?;
            }
            t.write("/counter", (old + 1).to_string())
        })
        .unwrap();
    assert_eq!(runs, 2);
    assert_eq!(store.read("/counter").unwrap().unwrap(), b"11");
}

fn endless_clashes_end(at: &Path) {
    let (mut store, mut other) = (open(at), open(at));
    store.write("/counter", "1").unwrap();
    let mut runs = 0u32;
    let error = store
        .transaction(|t| {
            runs += 1;
            t.read("/counter")?;
            // oxenstored lets pass what leaves the value as it was.
            other.write("/counter", format!("other {runs}"))?;
            t.write("/counter", "x")
        })
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Conflict { tries: runs });
    assert_eq!(error.errno(), libc::EAGAIN);
    store.write("/counter", "the connection is as good as before").unwrap();
}

fn a_panic_in_a_body_leaves_no_transaction_behind(at: &Path) {
    let mut store = open(at);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.transaction(|t| -> Result<(), Error> {
            t.write("/lost", "1")?;
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    store.write("/kept", "1").unwrap();
    assert_eq!(open(at).read_many(&["/lost", "/kept"]).unwrap(), [None, Some(b"1".to_vec())]);
}

fn a_watch_fires_at_once_and_at_each_change(at: &Path) {
    let (mut store, mut other) = (open(at), open(at));
    store.watch("/w", "token").unwrap();
    assert_eq!(
        events(&mut store),
        [event("/w", "token")],
        "once when it is set, even if there is nothing yet"
    );
    other.write("/w/deep/down", "1").unwrap();
    assert_eq!(events(&mut store), [event("/w/deep/down", "token")]);
    other.write("/elsewhere", "1").unwrap();
    assert_eq!(events(&mut store), []);
    store.write("/w", "own changes count").unwrap();
    assert_eq!(events(&mut store), [event("/w", "token")]);
    other.remove("/w").unwrap();
    assert_eq!(events(&mut store), [event("/w", "token")]);
    assert_eq!(store.next_event(Duration::ZERO).unwrap(), None);
    assert_eq!(store.next_event(Duration::from_millis(5)).unwrap(), None);
    store.read("/w").unwrap();
}

fn a_transaction_tells_at_its_end(at: &Path) {
    let (mut store, mut other) = (open(at), open(at));
    store.watch("/w", "token").unwrap();
    events(&mut store);
    other
        .transaction(|t| {
            t.write("/w/a", "1")?;
            t.write("/w/b", "1")?;
            assert_eq!(events(&mut store), []);
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(events(&mut store), [event("/w/a", "token"), event("/w/b", "token")]);
}

fn relative_watches_tell_relative_paths(at: &Path) {
    let mut store = open(at);
    store.watch("backend/vif", "r").unwrap();
    store.watch("/local/domain/0/backend/vif", "a").unwrap();
    events(&mut store);
    store.write("/local/domain/0/backend/vif/3/0/mac", "").unwrap();
    let told: BTreeSet<_> = events(&mut store).into_iter().collect();
    let expected =
        [event("backend/vif/3/0/mac", "r"), event("/local/domain/0/backend/vif/3/0/mac", "a")];
    assert_eq!(told, expected.into());
}

fn an_unwatched_path_is_silent(at: &Path) {
    let mut store = open(at);
    store.watch("/w", "one").unwrap();
    store.watch("/w", "two").unwrap();
    assert_eq!(store.watch("/w", "one").unwrap_err().errno(), libc::EEXIST);
    store.unwatch("/w", "one").unwrap();
    assert_eq!(store.unwatch("/w", "one").unwrap_err().errno(), libc::ENOENT);
    events(&mut store);
    store.write("/w", "1").unwrap();
    assert_eq!(events(&mut store), [event("/w", "two")]);
}

fn domains_by_their_number(at: &Path) {
    let mut store = open(at);
    assert_eq!(store.domain_path(3).unwrap(), "/local/domain/3");
    assert!(store.is_domain_introduced(0).unwrap());
    assert!(!store.is_domain_introduced(3).unwrap());
}

fn refusals_say_what_and_why(at: &Path) {
    let mut store = open(at);
    let text = |error: Error| error.to_string();
    assert_eq!(
        text(store.write("/value", vec![b'x'; 1 << 20]).unwrap_err()),
        "xenstore write /value: Argument list too long (errno 7): \
         path and value, or path and token, have at most 4095 bytes together (4079 through the kernel)"
    );
    assert_eq!(
        text(store.read("/a\0b").unwrap_err()),
        "xenstore read /a\\0b: Invalid argument (errno 22): a path has only letters, digits and -/_@"
    );
    for bad in ["", "/a/", "//a", "/a b", "/ä", "@releaseDomain"] {
        assert_eq!(store.mkdir(bad).unwrap_err().errno(), libc::EINVAL, "{bad:?}");
    }
    assert_eq!(store.watch("/a", "a\0b").unwrap_err().errno(), libc::EINVAL);
    assert_eq!(store.set_permissions("/a", &[]).unwrap_err().errno(), libc::EINVAL);
    // One bad request among many: nothing is sent.
    assert!(store.write_many(&[("/good", "1"), ("/b d", "2")]).is_err());
    assert_eq!(store.read("/good").unwrap(), None);

    let nested = store.transaction(|t| t.transaction(|_| Ok::<_, Error>(()))).unwrap_err();
    assert_eq!(nested.errno(), libc::EBUSY);
    store.write("/after", "all of that, the connection is as good as before").unwrap();
}

fn the_root_stays(at: &Path) {
    let error = open(at).remove("/").unwrap_err();
    assert_eq!(
        (error.doing(), error.kind()),
        ("xenstore rm /", &ErrorKind::Refused { errno: libc::EINVAL })
    );
    assert_eq!(error.to_string(), "xenstore rm /: Invalid argument (errno 22)");
}

#[test]
fn oxenstored_takes_less() {
    let oxenstored = Xenstored::start_oxenstored();
    let mut store = open(&oxenstored.socket());
    store.write("/v", vec![b'x'; 2048]).unwrap();
    assert_eq!(store.write("/v", vec![b'x'; 2049]).unwrap_err().errno(), libc::E2BIG);
    store.write("/v", "the connection is as good as before").unwrap();
}

#[test]
fn a_xenstored_that_hangs_is_not_waited_for() {
    let xenstored = Xenstored::start();
    let pid = Pid::from_raw(xenstored.pid().try_into().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    // It lets some wait to be let in, and makes the next one wait for that.
    let mut let_in = Vec::new();
    let error = loop {
        match XenStore::connect(&xenstored.socket()) {
            Ok(store) => let_in.push(store),
            Err(error) => break error,
        }
    };
    assert_eq!(error.errno(), libc::ETIMEDOUT, "{} were let in: {error}", let_in.len());
    assert!(error.to_string().ends_with("xenstored hangs"), "{error}");
}

#[test]
fn where_nothing_is_nothing_answers() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("socket");
    assert_eq!(XenStore::connect(&path).unwrap_err().errno(), libc::ENOENT);
    drop(UnixListener::bind(&path).unwrap());
    let error = XenStore::connect(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "xenstore connect: {}: Connection refused (errno 111); start xenstored, or name its socket in XENSTORED_PATH",
            path.display()
        )
    );
    let long = Path::new("/").join("x".repeat(200));
    assert_eq!(XenStore::connect(&long).unwrap_err().errno(), libc::ENOENT);
}
