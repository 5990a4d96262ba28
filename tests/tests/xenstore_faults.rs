//! The client against a XenStore that misbehaves: it works on, or says what is wrong, and never hangs.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use xennet_core::xenstore::wire::{Op, Packet};
use xennet_core::xenstore::{Error, ErrorKind, XenStore};
use xennet_tests::faulty_store::{FaultyStore, Reaction, bytes};

use Reaction::{Last, Send, Silence, Torn};

/// Long enough for any machine: what is waited for comes, or the test has failed.
const SOON: Duration = Duration::from_mins(1);

fn open(at: &Path) -> XenStore {
    let mut store = XenStore::connect(at).unwrap();
    store.set_timeout(SOON).unwrap();
    store
}

/// A reaction to READ alone, so that a test can write first.
fn when_reading(
    mut fault: impl FnMut(Vec<Packet>) -> Reaction + std::marker::Send + 'static,
) -> FaultyStore {
    FaultyStore::start(move |_, request, answer| match request.op {
        Op::READ => fault(answer),
        _ => Send(bytes(&answer)),
    })
}

fn assert_given_up(store: &mut XenStore, error: &Error) {
    let later = store.write("/later", "").unwrap_err();
    assert_eq!(*later.kind(), ErrorKind::Broken { first: error.to_string() });
    let later = store.next_event(Duration::ZERO).unwrap_err();
    assert_eq!(*later.kind(), ErrorKind::Broken { first: error.to_string() });
    assert!(later.to_string().ends_with("connect anew"), "{later}");
}

fn event(path: &str, token: &str) -> Packet {
    let payload = format!("{path}\0{token}\0").into_bytes();
    // The kernel's device sends events with whatever id was in its memory.
    Packet { op: Op::WATCH_EVENT, req_id: 0xdead_beef, tx_id: 7, payload }
}

#[test]
fn packets_may_come_byte_by_byte() {
    let faulty = FaultyStore::start(|_, _, answer| Torn(bytes(&answer)));
    let mut store = open(&faulty.socket());
    store.write_many(&[("/a", "1"), ("/b", "22")]).unwrap();
    store.watch("/a", "token").unwrap();
    assert_eq!(
        store.read_many(&["/a", "/c", "/b"]).unwrap(),
        [Some(b"1".to_vec()), None, Some(b"22".to_vec())]
    );
    assert_eq!(store.next_event(SOON).unwrap().unwrap().path, "/a");
}

#[test]
fn answers_may_come_in_any_order() {
    let mut kept = Vec::new();
    let faulty = when_reading(move |answer| {
        kept.extend(answer);
        if kept.len() < 3 {
            return Silence;
        }
        kept.reverse();
        Send(bytes(&std::mem::take(&mut kept)))
    });
    let mut store = open(&faulty.socket());
    store.write_many(&[("/a", "1"), ("/b", "2")]).unwrap();
    assert_eq!(
        store.read_many(&["/a", "/b", "/c"]).unwrap(),
        [Some(b"1".to_vec()), Some(b"2".to_vec()), None]
    );
}

#[test]
fn events_may_come_before_an_answer() {
    let faulty = FaultyStore::start(|_, _, answer| {
        Send(
            [
                bytes(&[event("/x", "one"), event("/y", "two")]),
                bytes(&answer),
                bytes(&[event("/z", "three")]),
            ]
            .concat(),
        )
    });
    let mut store = open(&faulty.socket());
    store.write("/a", "1").unwrap();
    assert_eq!(store.read("/a").unwrap().unwrap(), b"1");
    let mut tokens = Vec::new();
    while tokens.len() < 3 {
        tokens.push(store.next_event(SOON).unwrap().unwrap().token);
    }
    assert_eq!(tokens, ["one", "two", "three"]);
}

#[test]
fn a_flood_of_one_event_is_one_event() {
    let faulty = FaultyStore::start(|_, _, answer| {
        Send([vec![event("/x", "t"); 1000], answer].map(|p| bytes(&p)).concat())
    });
    let mut store = open(&faulty.socket());
    store.write("/a", "1").unwrap();
    assert!(store.next_event(Duration::ZERO).unwrap().is_some());
    assert_eq!(store.next_event(Duration::ZERO).unwrap(), None);
}

#[test]
fn newer_events_carry_more() {
    let faulty = FaultyStore::start(|_, _, answer| {
        let mut event = event("@releaseDomain", "t");
        event.payload.extend(b"3\0");
        Send(bytes(&[vec![event], answer].concat()))
    });
    let mut store = open(&faulty.socket());
    store.write("/a", "1").unwrap();
    assert_eq!(store.next_event(Duration::ZERO).unwrap().unwrap().path, "@releaseDomain");
}

#[test]
fn an_answer_to_nothing_ends_the_connection() {
    let faulty = when_reading(|mut answer| {
        answer[0].req_id += 1;
        Send(bytes(&answer))
    });
    let mut store = open(&faulty.socket());
    let error = store.read("/a").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol { .. }), "{error}");
    assert_eq!(error.errno(), libc::EPROTO);
    assert_given_up(&mut store, &error);
    open(&faulty.socket()).write("/a", "a new connection is a new start").unwrap();
}

#[test]
fn two_answers_to_one_question_end_the_connection() {
    let faulty = when_reading(|answer| Send(bytes(&[answer.clone(), answer].concat())));
    let mut store = open(&faulty.socket());
    let error = store.read_many(&["/a", "/b"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol { .. }), "{error}");
    assert_given_up(&mut store, &error);
}

#[test]
fn an_answer_to_another_question_ends_the_connection() {
    let faulty = when_reading(|mut answer| {
        answer[0].op = Op::DIRECTORY;
        Send(bytes(&answer))
    });
    let mut store = open(&faulty.socket());
    store.write("/a", "1").unwrap();
    let error = store.read("/a").unwrap_err();
    assert_eq!(
        error.to_string(),
        "xenstore read /a: Protocol error (errno 71): XenStore answered read with list"
    );
    assert_given_up(&mut store, &error);
}

#[test]
fn a_monstrous_length_ends_the_connection() {
    let faulty = when_reading(|answer| {
        let mut bytes = bytes(&answer);
        bytes[12..16].copy_from_slice(&0x7fff_ffff_u32.to_ne_bytes());
        Send(bytes)
    });
    let mut store = open(&faulty.socket());
    let error = store.read("/a").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol { .. }), "{error}");
    assert_given_up(&mut store, &error);
}

#[test]
fn a_senseless_event_ends_the_connection() {
    let faulty = when_reading(|answer| {
        Send(bytes(
            &[vec![Packet { payload: b"no token".into(), ..event("", "") }], answer].concat(),
        ))
    });
    let mut store = open(&faulty.socket());
    let error = store.read("/a").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol { .. }), "{error}");
    assert_given_up(&mut store, &error);
}

#[test]
fn an_end_in_the_middle_of_an_answer_is_an_end() {
    let faulty = when_reading(|answer| Last(bytes(&answer)[..20].to_vec()));
    let mut store = open(&faulty.socket());
    store.write("/a", "a value long enough to be cut").unwrap();
    let error = store.read("/a").unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Closed);
    assert_eq!(error.errno(), libc::ECONNRESET);
    assert_given_up(&mut store, &error);
}

#[test]
fn an_end_while_waiting_for_events_is_an_end() {
    let faulty = FaultyStore::start(|_, _, answer| Last(bytes(&answer)));
    let mut store = open(&faulty.socket());
    store.write("/a", "1").unwrap();
    let error = store.next_event(SOON).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Closed);
    assert_given_up(&mut store, &error);
}

#[test]
fn silence_ends_with_the_timeout() {
    let faulty = when_reading(|_| Silence);
    let mut store = open(&faulty.socket());
    let timeout = Duration::from_millis(30);
    store.set_timeout(timeout).unwrap();
    let error = store.read("/a").unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TimedOut { after: timeout });
    assert_eq!(
        error.to_string(),
        "xenstore read /a: Connection timed out (errno 110): no answer within 30ms"
    );
    assert_given_up(&mut store, &error);
}

#[test]
fn dripping_bytes_do_not_stretch_the_timeout() {
    // More bytes than anybody waits for, none later than the timeout after the one before.
    let faulty = when_reading(|answer| {
        thread::sleep(Duration::from_millis(20));
        let mut bytes = bytes(&answer);
        bytes[12..16].copy_from_slice(&4096u32.to_ne_bytes());
        Send(bytes)
    });
    let mut store = open(&faulty.socket());
    store.write("/a", "1").unwrap();
    let timeout = Duration::from_millis(50);
    store.set_timeout(timeout).unwrap();
    // The requests after the first keep the drip going; their answers look like the first one's payload.
    let error = store.read_many(&["/a"; 200]).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TimedOut { after: timeout });
}

#[test]
fn signals_do_not_disturb() {
    // Stopped and continued, a read with a timeout fails with EINTR even where no handler is set.
    let faulty = when_reading(|answer| {
        let pid = std::process::id();
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -STOP {pid}; kill -CONT {pid}"))
            .status();
        assert!(status.unwrap().success());
        Send(bytes(&answer))
    });
    let mut store = open(&faulty.socket());
    store.write("/a", "1").unwrap();
    for _ in 0..5 {
        assert_eq!(store.read("/a").unwrap().unwrap(), b"1");
    }
}

#[test]
fn an_error_without_a_number_keeps_its_word() {
    let faulty = when_reading(|mut answer| {
        answer[0].op = Op::ERROR;
        answer[0].payload = b"EQUITE\0".into();
        Send(bytes(&answer))
    });
    let mut store = open(&faulty.socket());
    let error = store.read("/a").unwrap_err();
    assert_eq!(
        error.to_string(),
        "xenstore read /a: Input/output error (errno 5): XenStore said \"EQUITE\""
    );
    store.write("/a", "the connection is as good as before").unwrap();
}

#[test]
fn a_senseless_answer_is_an_error_of_that_call_alone() {
    let faulty = FaultyStore::start(|_, request, mut answer| {
        if matches!(
            request.op,
            Op::IS_DOMAIN_INTRODUCED | Op::TRANSACTION_START | Op::GET_PERMS | Op::DIRECTORY
        ) {
            answer[0].op = request.op;
            answer[0].payload = b"\xff\xff\0".into();
        }
        Send(bytes(&answer))
    });
    let mut store = open(&faulty.socket());
    let errors = [
        store.is_domain_introduced(3).unwrap_err(),
        store.permissions("/a").unwrap_err(),
        store.directory("/a").unwrap_err(),
        store.transaction(|_| Ok::<_, Error>(())).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error.kind(), ErrorKind::Protocol { .. }), "{error}");
    }
    store.write("/a", "the connection is as good as before").unwrap();
}

#[test]
fn a_storm_of_clashes_is_outlived_or_ends() {
    let storm = |length: u32| {
        let mut clashes = 0;
        FaultyStore::start(move |_, request, mut answer| {
            if request.op == Op::TRANSACTION_END && clashes < length {
                clashes += 1;
                answer[0].op = Op::ERROR;
                answer[0].payload = b"EAGAIN\0".into();
            }
            Send(bytes(&answer))
        })
    };
    let passing = storm(50);
    open(&passing.socket()).transaction(|t| t.write("/a", "1")).unwrap();
    let endless = storm(u32::MAX);
    let error = open(&endless.socket()).transaction(|t| t.write("/a", "1")).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Conflict { .. }), "{error}");
}

#[test]
fn a_transaction_that_xenstore_lost_is_an_error() {
    // xenstored answers ENOENT for it, which must not be taken for a missing node, and oxenstored EIO.
    for word in ["ENOENT", "EIO"] {
        let faulty = FaultyStore::start(move |_, request, mut answer| {
            if request.tx_id != 0 {
                answer[0].op = Op::ERROR;
                answer[0].payload = format!("{word}\0").into_bytes();
            }
            Send(bytes(&answer))
        });
        let error = open(&faulty.socket()).transaction(|t| t.read("/a")).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Refused { .. }), "{word}: {error}");
    }
}

#[test]
fn a_list_that_changes_while_it_is_read_is_read_anew() {
    let mut changes = 0;
    let faulty = FaultyStore::start(move |store, request, answer| {
        // After the first part, twice, somebody else adds a child at the front of nothing and removes the first.
        if request.op == Op::DIRECTORY_PART && changes < 2 {
            changes += 1;
            let other = store.connect(0);
            for (op, payload) in [
                (Op::RM, format!("/list/n{}\0", changes - 1)),
                (Op::MKDIR, format!("/list/new{changes}\0")),
            ] {
                store
                    .ask(other, &Packet { op, req_id: 1, tx_id: 0, payload: payload.into_bytes() });
            }
        }
        Send(bytes(&answer))
    });
    let mut store = open(&faulty.socket());
    let names: Vec<String> = (0..2000).map(|n| format!("n{n}")).collect();
    let pairs: Vec<_> = names.iter().map(|name| (format!("/list/{name}"), "")).collect();
    store.write_many(&pairs).unwrap();
    let mut expected = names[2..].to_vec();
    expected.extend(["new1".into(), "new2".into()]);
    assert_eq!(store.directory("/list").unwrap().unwrap(), expected);
}

#[test]
fn a_list_that_never_stands_still_ends() {
    let mut generation = 0;
    let faulty = FaultyStore::start(move |_, request, mut answer| {
        match request.op {
            Op::DIRECTORY => {
                answer[0].op = Op::ERROR;
                answer[0].payload = b"E2BIG\0".into();
            }
            Op::DIRECTORY_PART => {
                generation += 1;
                answer[0].op = request.op;
                answer[0].payload = format!("{generation}\0name\0").into_bytes();
            }
            _ => {}
        }
        Send(bytes(&answer))
    });
    let error = open(&faulty.socket()).directory("/list").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Conflict { .. }), "{error}");
}

#[test]
fn a_xenstore_without_partial_lists_says_that_the_list_is_too_long() {
    let faulty = FaultyStore::start(|_, request, mut answer| {
        let word: &[u8] = match request.op {
            Op::DIRECTORY => b"E2BIG\0",
            Op::DIRECTORY_PART => b"ENOSYS\0",
            _ => return Send(bytes(&answer)),
        };
        answer[0].op = Op::ERROR;
        answer[0].payload = word.into();
        Send(bytes(&answer))
    });
    let error = open(&faulty.socket()).directory("/list").unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Refused { errno: libc::E2BIG });
}

#[test]
fn many_keys_take_one_write() {
    let mut reads = Vec::new();
    let faulty = FaultyStore::start(move |_, request, answer| {
        // The answers wait for the last request: had the client waited for an answer in between, it would hang.
        reads.extend(answer);
        if request.payload == b"/key9\0" {
            Send(bytes(&std::mem::take(&mut reads)))
        } else {
            Silence
        }
    });
    let keys: Vec<String> = (0..10).map(|n| format!("/key{n}")).collect();
    assert_eq!(open(&faulty.socket()).read_many(&keys).unwrap(), vec![None; 10]);
}
