//! Bytes of any kind for everything that reads bytes from outside: it answers or refuses, and never panics or hangs.
//!
//! A loop changes inputs of a corpus, and inputs that it made before. `make test` runs a short sample with a fixed seed;
//! `make fuzz` runs `XENNET_INPUTS` inputs of each target.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use targets::{TARGETS, Target};

/// How many inputs each target gets; the first seed.
const INPUTS: &str = "XENNET_INPUTS";
const SEED: &str = "XENNET_SEED";
/// Inputs of a sample.
const FEW: u64 = 4_000;
/// What is made is at most so long, in bytes.
const LONGEST: usize = 16 * 1024;
/// No decoder takes so long for so few bytes: it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The generator `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("less than the limit")
    }

    /// Changes an input in one to six places.
    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str]) {
        for _ in 0..=self.below(6) {
            let at = self.below(input.len() + 1);
            match self.below(10) {
                0 => input.truncate(at),
                1 => input.insert(at, self.next().to_le_bytes()[0]),
                2 if at < input.len() => input[at] ^= 1 << self.below(8),
                3 if at < input.len() => input[at] = self.next().to_le_bytes()[0],
                4 if at < input.len() => {
                    input.remove(at);
                }
                // A number that is the last of its kind.
                5 => {
                    let number = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, u32::MAX];
                    let bytes = number[self.below(8)].to_ne_bytes();
                    let length = [1, 2, 4][self.below(3)];
                    for (place, byte) in input.iter_mut().skip(at).zip(&bytes[..length]) {
                        *place = *byte;
                    }
                }
                // A piece of another one, or of itself.
                6 | 7 => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len());
                    let to = from + self.below(other.len() - from + 1).min(400);
                    input.splice(at..at, other[from..to].iter().copied());
                }
                8 => {
                    let word = words.get(self.below(words.len())).copied().unwrap_or_default();
                    input.splice(at..at, word.bytes());
                }
                _ => {
                    let end = (at + self.below(64)).min(input.len());
                    let piece = input[at..end].to_vec();
                    input.splice(at..at, piece);
                }
            }
        }
        input.truncate(LONGEST);
    }
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(target.corpus);
    let files = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort_unstable();
    let texts = files.iter().map(fs::read).collect::<Result<Vec<_>, _>>().unwrap();
    assert!(!texts.is_empty(), "no corpus in {}", dir.display());
    texts
}

/// Runs a target with so many inputs; the ones that it failed with.
fn run(target: &Target, seed: u64, inputs: u64) -> Vec<String> {
    let mut corpus = corpus(target);
    let mut random = Random(seed);
    let mut wrong = Vec::new();
    for given in &corpus {
        (target.run)(given);
    }
    for n in 0..inputs {
        let mut input = corpus[random.below(corpus.len())].clone();
        random.change(&mut input, &corpus, target.words);
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        if outcome.is_err() || began.elapsed() > PATIENCE {
            let took = began.elapsed();
            wrong.push(format!("{}, input {n}, {took:?}: {}", target.name, input.escape_ascii()));
        }
        // A descendant in the place of another one, so that changes add up.
        if n % 64 == 0 {
            if corpus.len() < 512 {
                corpus.push(input);
            } else {
                let at = random.below(corpus.len());
                corpus[at] = input;
            }
        }
    }
    wrong
}

#[test]
fn no_input_panics_or_hangs() {
    let given = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let (inputs, seed) = (given(INPUTS).unwrap_or(FEW), given(SEED).unwrap_or(1));
    println!("{SEED}={seed} {INPUTS}={inputs}");
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(target) =
                    TARGETS.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let found = run(target, seed, inputs);
                    println!("| {} | {inputs} | {} |", target.name, found.len());
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} inputs:\n{}", wrong.len(), wrong.join("\n"));
}

/// Writes what this kernel answers into the corpus: `BLESS=1`.
#[test]
fn corpus_of_the_kernel_is_there() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/netlink");
    if std::env::var_os("BLESS").is_some() {
        targets::record(&dir);
    }
    assert!(fs::read_dir(&dir).is_ok_and(|files| files.count() > 5), "run it with BLESS=1");
}
