//! A database that does not behave: split answers, echoes in between, errors on top, silence.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use xennet_core::ovsdb::{Error, ErrorKind, Ovsdb};
use xennet_core::types::IfName;

/// A database whose answers the test writes, one for each request.
struct Fake {
    client: Ovsdb,
    server: JoinHandle<Vec<Value>>,
    _dir: TempDir,
}

impl Fake {
    /// `speak` answers the requests of one client.
    fn new(speak: impl FnOnce(&mut Talk) + Send + 'static) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("db.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut talk = Talk { stream, heard: Vec::new() };
            speak(&mut talk);
            talk.heard
        });
        Self { client: Ovsdb::connect(&path).unwrap(), server, _dir: dir }
    }

    fn bridge(&mut self) -> Result<Option<IfName>, Error> {
        let found = self.client.bridge(&["br0".parse().unwrap()])?;
        Ok(found.map(|bridge| bridge.name))
    }
}

struct Talk {
    stream: UnixStream,
    heard: Vec<Value>,
}

impl Talk {
    fn hear(&mut self) -> Value {
        let mut bytes = Vec::new();
        loop {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            bytes.extend(byte);
            if let Ok(value) = serde_json::from_slice::<Value>(&bytes) {
                self.heard.push(value.clone());
                return value;
            }
        }
    }

    /// The next request's number.
    fn id(&mut self) -> Value {
        self.hear().get("id").cloned().unwrap()
    }

    fn say(&mut self, text: &str) {
        // In pieces, between any two bytes.
        for piece in text.as_bytes().chunks(7) {
            self.stream.write_all(piece).unwrap();
            self.stream.flush().unwrap();
        }
    }

    fn answer(&mut self, result: &Value) {
        let id = self.id();
        self.say(&json!({ "id": id, "result": result, "error": null }).to_string());
    }
}

/// As a bridge, and as no fake one.
const THERE: &str = r#"[{"rows":[{"name":"br0"}]},{"rows":[]}]"#;

fn there() -> Value {
    serde_json::from_str(THERE).unwrap()
}

#[test]
fn answers_in_pieces_with_echoes_and_strays_between_them() {
    let mut fake = Fake::new(|talk| {
        let id = talk.id();
        let answer = json!({ "id": id, "result": there(), "error": null });
        talk.say(&format!(
            "{}\n{}{}{answer}",
            json!({ "method": "echo", "id": "}{\"", "params": ["{[\\"] }),
            json!({ "method": "update", "id": null, "params": ["old", {}] }),
            json!({ "id": 4711, "result": [], "error": null }),
        ));
        talk.hear();
        talk.answer(&there());
    });
    for _ in 0..2 {
        assert_eq!(fake.bridge().unwrap().unwrap().as_str(), "br0");
    }
    let heard = fake.server.join().unwrap();
    assert_eq!(heard[1], json!({ "id": "}{\"", "result": ["{[\\"], "error": null }));
}

#[test]
fn an_error_of_an_operation_and_one_on_top_of_all() {
    let mut fake = Fake::new(|talk| {
        talk.answer(&json!([{ "error": "not owner", "details": "no lock" }]));
        talk.answer(&json!([
            { "rows": [] },
            { "error": "constraint violation", "details": "two \"br0\"" }
        ]));
        let id = talk.id();
        talk.say(&json!({ "id": id, "result": null, "error": "unknown database" }).to_string());
        talk.answer(&there());
    });
    for expected in [
        "the database refused it: not owner: no lock",
        "the database refused it: constraint violation: two \"br0\"",
        "the database refused it: unknown database",
    ] {
        let error = fake.bridge().unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(matches!(error.kind(), ErrorKind::Refused { .. }) && !fake.client.is_broken());
    }
    fake.bridge().unwrap().unwrap();
}

#[test]
fn what_is_no_database_is_given_up() {
    for said in
        ["HTTP/1.1 400 Bad Request\r\n", "{]}", r#"{"id":0,"result":7,"error":null}"#, "[1,2"]
    {
        let mut fake = Fake::new(move |talk| {
            talk.hear();
            talk.say(said);
        });
        let error = fake.bridge().unwrap_err();
        let closed = said == "[1,2";
        assert_eq!(matches!(error.kind(), ErrorKind::Closed), closed, "{said}: {error}");
        assert_eq!(matches!(error.kind(), ErrorKind::Protocol { .. }), !closed, "{said}: {error}");
        assert!(fake.client.is_broken());
        assert!(matches!(fake.bridge().unwrap_err().kind(), ErrorKind::Closed));
    }
}

#[test]
fn silence_has_an_end() {
    let began = Instant::now();
    let mut fake = Fake::new(|talk| {
        talk.hear();
        // Until the client has had enough.
        let _ = talk.stream.read(&mut [0; 64]);
    });
    let error = fake.bridge().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TimedOut { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(30) && fake.client.is_broken());
}
