use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::ParseError;
use super::decimal::decimal;

/// What a guest may send: so many bytes in each interval, written `BYTES,MICROSECONDS` as libxl writes it and
/// netback reads it.
///
/// netback applies it to its vif by itself, and watches the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    bytes: u64,
    microseconds: u64,
}

impl Rate {
    /// So many bytes in each interval of so many microseconds; an error when the interval is 0.
    pub fn new(bytes: u64, microseconds: u64) -> Result<Self, ParseError> {
        // 0 is netback's own default and means no limit: whoever wrote a limit would not get one.
        if microseconds == 0 {
            let value = format!("{bytes},{microseconds}");
            return Err(ParseError::new(KEY, value, "an interval of at least 1 microsecond"));
        }
        Ok(Self { bytes, microseconds })
    }

    /// Bytes that may be sent in one interval.
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    /// The interval after which the credit is filled up again.
    pub fn interval(self) -> Duration {
        Duration::from_micros(self.microseconds)
    }
}

const KEY: &str = "rate";

impl FromStr for Rate {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        s.split_once(',')
            .and_then(|(bytes, microseconds)| Some((decimal(bytes)?, decimal(microseconds)?)))
            .ok_or_else(|| {
                ParseError::new(KEY, s, "BYTES,MICROSECONDS, two numbers without leading zeros")
            })
            .and_then(|(bytes, microseconds)| Self::new(bytes, microseconds))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.bytes, self.microseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_netback_reads() {
        let rate: Rate = "20000,20000".parse().unwrap();
        assert_eq!((rate.bytes(), rate.interval()), (20_000, Duration::from_millis(20)));
        for good in ["0,1", "18446744073709551615,18446744073709551615"] {
            assert_eq!(good.parse::<Rate>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            ",",
            "1",
            "1,",
            ",1",
            "1,2,3",
            "1, 2",
            " 1,2",
            "1,2\n",
            "+1,2",
            "-1,2",
            "01,2",
            "0x1,2",
            "10MB/s",
            "18446744073709551616,1",
            "1,18446744073709551616",
        ] {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_interval_of_zero_would_mean_no_limit() {
        let error = "20000,0".parse::<Rate>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "rate \"20000,0\": expected an interval of at least 1 microsecond"
        );
    }

    proptest! {
        #[test]
        fn parsing_a_printed_rate_gives_it_back(bytes: u64, microseconds in 1u64..) {
            let rate = Rate::new(bytes, microseconds).unwrap();
            prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        }

        #[test]
        fn text_never_panics(s in ".*|[0-9,]{0,50}") {
            let _ = s.parse::<Rate>();
        }
    }
}
