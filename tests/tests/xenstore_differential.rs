//! The same random requests to the embedded store and to the real xenstored: equal answers, equal events, equal trees.
//!
//! Requests whose payload is not made of strings are left out: what xenstored says to them depends on what it did before.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngSeed, TestRunner};
use xennet_core::xenstore::memory::{ClientId, Store};
use xennet_core::xenstore::wire::{Decoder, Op, PAYLOAD_MAX, Packet, strings};
use xennet_tests::xenstored::Xenstored;

/// Clients of each store: enough for clashes and for events that others cause.
const CLIENTS: usize = 2;

/// One request of one client.
#[derive(Debug, Clone)]
struct Step {
    client: usize,
    /// In the client's open transaction, if it has one.
    in_transaction: bool,
    op: Op,
    payload: Vec<u8>,
}

/// One of the two stores, with its clients.
trait Subject {
    /// All packets for each client after this request was dealt with, the answer among them.
    fn ask(&mut self, client: usize, request: &Packet) -> [Vec<Packet>; CLIENTS];
}

/// The embedded one.
struct Embedded {
    store: Store,
    clients: [ClientId; CLIENTS],
}

/// The real one.
struct Real {
    clients: [(UnixStream, Decoder); CLIENTS],
}

impl Subject for Embedded {
    fn ask(&mut self, client: usize, request: &Packet) -> [Vec<Packet>; CLIENTS] {
        self.store.ask(self.clients[client], request);
        self.clients.map(|client| self.store.take(client))
    }
}

impl Subject for Real {
    fn ask(&mut self, client: usize, request: &Packet) -> [Vec<Packet>; CLIENTS] {
        self.clients[client].0.write_all(&request.to_bytes()).unwrap();
        let mut seen: [Vec<Packet>; CLIENTS] = Default::default();
        // xenstored queues in order: what it had for a client before has come when a further question is answered. The
        // one who asked comes first: only when its request has been answered can it have caused events.
        for index in (0..CLIENTS).map(|offset| (client + offset) % CLIENTS) {
            if index == client {
                self.receive(index, request.req_id, &mut seen[index]);
            }
            let barrier = Packet {
                op: Op::GET_DOMAIN_PATH,
                req_id: u32::MAX,
                tx_id: 0,
                payload: b"0\0".into(),
            };
            self.clients[index].0.write_all(&barrier.to_bytes()).unwrap();
            self.receive(index, u32::MAX, &mut seen[index]);
            seen[index].pop();
        }
        seen
    }
}

impl Real {
    fn connect(socket: &Path) -> Self {
        let connect = || (UnixStream::connect(socket).unwrap(), Decoder::new(PAYLOAD_MAX));
        Self { clients: std::array::from_fn(|_| connect()) }
    }

    /// Everything up to the answer with this number.
    fn receive(&mut self, client: usize, req_id: u32, seen: &mut Vec<Packet>) {
        let (stream, decoder) = &mut self.clients[client];
        let mut buffer = [0; 16 * 1024];
        loop {
            while let Some(packet) = decoder.packet().unwrap() {
                let last = packet.op != Op::WATCH_EVENT && packet.req_id == req_id;
                seen.push(packet);
                if last {
                    return;
                }
            }
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "xenstored hung up");
            decoder.push(&buffer[..length]);
        }
    }
}

/// What the steps make visible: each packet, and the tree at the end.
///
/// What was answered within a transaction counts only when it is committed. xenstored copies a node when it is
/// first touched, so a transaction that is going to clash may see a parent without its child, and calls that EIO.
fn run(subject: &mut impl Subject, steps: &[Step]) -> Vec<String> {
    let mut story = Vec::new();
    let mut transactions: [(u32, Vec<String>); CLIENTS] = Default::default();
    for (number, step) in (1..).zip(steps) {
        let (tx_id, within) = &mut transactions[step.client];
        let tx_id = if step.in_transaction { *tx_id } else { 0 };
        let request = Packet { op: step.op, req_id: number, tx_id, payload: step.payload.clone() };
        let mut seen = subject.ask(step.client, &request);
        let own = &mut seen[step.client];
        let place = own.iter().position(|packet| packet.op != Op::WATCH_EVENT).unwrap();
        let answer = own.remove(place);
        // With xenstored it depends on when the domain was introduced.
        let place = if step.op == Op::RELEASE { 0 } else { place };
        let ended = answer.op == Op::ERROR
            && matches!(text(&answer.payload).as_str(), "EAGAIN\0" | "ENOMEM\0");
        let shown =
            if step.op == Op::TRANSACTION_END && ended { "a clash".into() } else { shown(&answer) };
        let shown = format!("{number}: {} gets {shown} after {place}", step.client);
        match step.op {
            Op::TRANSACTION_START if answer.op == step.op => {
                let id = text(&answer.payload).trim_end_matches('\0').parse().unwrap();
                transactions[step.client] = (id, Vec::new());
            }
            Op::TRANSACTION_END => {
                let committed = answer.op == step.op && step.payload == b"T\0";
                story.extend(within.drain(..).filter(|_| committed));
            }
            _ if tx_id != 0 => within.push(shown.clone()),
            _ => {}
        }
        if tx_id == 0 || step.op == Op::TRANSACTION_END {
            story.push(shown);
        }
        for (client, packets) in seen.iter().enumerate() {
            for event in packets {
                story.push(format!("{number}: {client} sees {}", self::shown(event)));
            }
        }
    }
    tree(subject, "/", &mut story);
    story
}

fn shown(packet: &Packet) -> String {
    let payload = match packet.op {
        // Its generation is each store's own affair.
        Op::DIRECTORY_PART => text(&packet.payload).split_once('\0').unwrap().1.to_owned(),
        _ => text(&packet.payload),
    };
    match packet.op {
        // An event's numbers mean nothing.
        Op::WATCH_EVENT => format!("event {payload:?}"),
        op => format!("{op:?} req {} tx {} {payload:?}", packet.req_id, packet.tx_id),
    }
}

fn tree(subject: &mut impl Subject, path: &str, story: &mut Vec<String>) {
    let mut ask = |op| {
        let request = Packet { op, req_id: 1, tx_id: 0, payload: format!("{path}\0").into_bytes() };
        subject.ask(0, &request)[0].pop().unwrap()
    };
    let [value, permissions, children] = [Op::READ, Op::GET_PERMS, Op::DIRECTORY].map(&mut ask);
    story.push(format!("{path}: {} {}", shown(&value), shown(&permissions)));
    for child in strings(&children.payload) {
        tree(subject, &format!("{}/{}", path.trim_end_matches('/'), text(child)), story);
    }
}

/// As a xenstored is when it has just started.
fn reset(real: &mut Real) {
    let mut ask = |op, payload: &str| {
        real.ask(0, &Packet { op, req_id: 1, tx_id: 0, payload: payload.into() })[0].pop().unwrap()
    };
    for child in strings(&ask(Op::DIRECTORY, "/\0").payload) {
        ask(Op::RM, &format!("/{}\0", text(child)));
    }
    for (op, payload) in [
        (Op::SET_PERMS, "/\0n0\0"),
        (Op::WRITE, "/\0"),
        (Op::MKDIR, "/tool/xenstored\0"),
        (Op::RELEASE, "5\0"),
        (Op::RELEASE, "6\0"),
    ] {
        ask(op, payload);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is asked, and how often.
const OPS: [(usize, Op); 18] = [
    (6, Op::READ),
    (8, Op::WRITE),
    (4, Op::MKDIR),
    (5, Op::RM),
    (3, Op::DIRECTORY),
    (2, Op::DIRECTORY_PART),
    (2, Op::GET_PERMS),
    (3, Op::SET_PERMS),
    (4, Op::WATCH),
    (2, Op::UNWATCH),
    (6, Op::TRANSACTION_START),
    (6, Op::TRANSACTION_END),
    (1, Op::INTRODUCE),
    (1, Op::RELEASE),
    (1, Op::IS_DOMAIN_INTRODUCED),
    (1, Op::GET_DOMAIN_PATH),
    (1, Op::RESET_WATCHES),
    (1, Op(99)),
];
const PATHS: [&str; 9] =
    ["/a", "/a/b", "/a/b/c", "/a/d", "/e", "a", "a/b", "/local/domain/0/a", "/local"];
const ODD_PATHS: [&str; 9] =
    ["/", "", "/a/", "//a", "/a b", "@releaseDomain", "@introduceDomain", "/tool", "/\u{e9}"];
const PERMISSIONS: [&str; 8] =
    ["n0\0", "r0\0", "n1\0r2\0", "b2\0w1\0n3\0", "", "x1\0", "r\0", "n1"];

fn step() -> impl Strategy<Value = Step> {
    let ops = OPS.iter().flat_map(|(weight, op)| vec![*op; *weight]).collect::<Vec<_>>();
    let request = (
        select(ops),
        prop_oneof![8 => select(PATHS.to_vec()), 1 => select(ODD_PATHS.to_vec())],
        select(PERMISSIONS.to_vec()),
        select(vec!["", "one", "two"]),
        select(vec!["", "1", "a\0b"]),
        select(vec!["T", "T", "T", "F", "X"]),
        0u32..9,
    );
    let request = request.prop_map(|(op, path, permissions, token, value, verdict, number)| {
        let payload = match op {
            Op::WRITE => format!("{path}\0{value}"),
            Op::WATCH | Op::UNWATCH => format!("{path}\0{token}\0"),
            Op::SET_PERMS => format!("{path}\0{permissions}"),
            Op::DIRECTORY_PART => format!("{path}\0{number}\0"),
            Op::TRANSACTION_START => "\0".to_owned(),
            Op::TRANSACTION_END => format!("{verdict}\0"),
            Op::INTRODUCE => format!("{}\x001\x001\0", 5 + number % 2),
            Op::RELEASE | Op::IS_DOMAIN_INTRODUCED | Op::GET_DOMAIN_PATH => {
                format!("{}\0", 5 + number % 2)
            }
            _ => format!("{path}\0"),
        };
        (op, payload.into_bytes())
    });
    (0..CLIENTS, prop::bool::weighted(0.7), request).prop_map(
        |(client, in_transaction, (op, payload))| Step { client, in_transaction, op, payload },
    )
}

#[test]
fn the_embedded_store_does_as_xenstored_does() {
    let xenstored = Xenstored::start();
    // The same cases each time, unless PROPTEST_CASES and PROPTEST_RNG_SEED say otherwise.
    let config = ProptestConfig::default();
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        given @ RngSeed::Fixed(_) => given,
    };
    let config = ProptestConfig { rng_seed, failure_persistence: None, ..config };
    // Who may watch the special paths is a list of its own, which the embedded store does not keep.
    let compared = step().prop_filter("special", |step| {
        step.op != Op::SET_PERMS || step.payload.first() != Some(&b'@')
    });
    let result = TestRunner::new(config).run(&vec(compared, 1..60), |steps| {
        let mut real = Real::connect(&xenstored.socket());
        reset(&mut real);
        let mut store = Store::new();
        let clients = std::array::from_fn(|_| store.connect(0));
        let mut embedded = Embedded { store, clients };
        let (ours, theirs) = (run(&mut embedded, &steps), run(&mut real, &steps));
        let same = ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs).count();
        let (ours, theirs) = (&ours[same..], &theirs[same..]);
        prop_assert_eq!(
            ours.first(),
            theirs.first(),
            "ours, theirs; then {:#?}, {:#?}",
            ours,
            theirs
        );
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
