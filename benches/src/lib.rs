//! Measurements: contenders side by side in one run, in turns, so that what else the machine does hits them alike.

pub mod blaster;
pub mod contender;
pub mod data_plane;
pub mod figures;
pub mod inside;
pub mod machine;
pub mod options;
pub mod plugs;
pub mod report;
pub mod scene;
pub mod storm;

use std::error::Error;
use std::time::{Duration, Instant};

/// A measurement fails by its first error: there is nobody to recover.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs the contenders in turns and prints the median of each, and its ratio to the first's.
pub fn compare(title: &str, rounds: usize, contenders: &mut [(&str, &mut dyn FnMut())]) {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let which = (round + turn) % contenders.len();
            if let (Some((_, run)), Some(times)) = (contenders.get_mut(which), times.get_mut(which))
            {
                let began = Instant::now();
                run();
                times.push(began.elapsed());
            }
        }
    }
    println!("{title}: medians of {rounds}");
    let mut first = None;
    for ((name, _), times) in contenders.iter().zip(&mut times) {
        let median = median(times);
        let base = *first.get_or_insert(median);
        let ratio = median.as_secs_f64() / base.as_secs_f64();
        println!("  {name:<28} {:>10.1} us  x{ratio:.2}", median.as_secs_f64() * 1e6);
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
