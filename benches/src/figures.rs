//! What was measured: medians with the least and the most, and ratios round by round.

use std::time::Duration;

use serde_json::{Value, json};

/// Microseconds, one for each round.
#[derive(Debug, Clone, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds a round's.
    pub fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1e6);
    }

    /// How many rounds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Half of the rounds took no longer.
    pub fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// The quickest round.
    pub fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The slowest round.
    pub fn most(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    /// How many times as long as another this took: the median of the ratios within each round, which what else the
    /// machine does disturbs less than a ratio of medians.
    pub fn ratio(&self, base: &Self) -> f64 {
        median(self.0.iter().zip(&base.0).map(|(this, base)| this / base).collect())
    }

    /// Every round's.
    pub fn json(&self) -> Value {
        // Tenths of microseconds: more digits would be noise.
        self.0.iter().map(|us| json!((us * 10.0).round() / 10.0)).collect()
    }
}

impl FromIterator<Duration> for Series {
    fn from_iter<I: IntoIterator<Item = Duration>>(durations: I) -> Self {
        let mut series = Self::default();
        durations.into_iter().for_each(|took| series.push(took));
        series
    }
}

/// The middle one, or between the two in the middle; 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.get(middle.wrapping_sub(1))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => {
            f64::midpoint(*lower, *upper)
        }
        (Some(middle), _) => *middle,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_ratios() {
        let series = |us: &[u64]| us.iter().copied().map(Duration::from_micros).collect::<Series>();
        let (ours, base) = (series(&[20, 300, 40]), series(&[10, 300, 10]));
        assert!((ours.ratio(&base) - 2.0).abs() < 1e-9);
        assert!((base.ratio(&ours) - 0.5).abs() < 1e-9);
        assert_eq!((base.median(), base.least(), base.most()), (10.0, 10.0, 300.0));
        assert!((series(&[10, 20]).median() - 15.0).abs() < 1e-9);
        assert!((Series::default().median()).abs() < 1e-9);
    }
}
