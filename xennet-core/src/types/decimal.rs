use std::str::FromStr;

/// A number as Xen and the kernel print it: digits only, no leading zero.
///
/// `parse` alone would take "+1"; a leading zero means octal to some readers and nothing to others.
pub(super) fn decimal<T: FromStr>(s: &str) -> Option<T> {
    let canonical = s == "0" || (!s.starts_with('0') && s.bytes().all(|b| b.is_ascii_digit()));
    canonical.then(|| s.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_printed() {
        assert_eq!(decimal("0"), Some(0u16));
        assert_eq!(decimal("65535"), Some(65535u16));
        for bad in ["", "65536", "+1", "-1", "-0", "01", "00", "1 ", " 1", "1_0", "0x1", "١"] {
            assert_eq!(decimal::<u16>(bad), None, "{bad:?}");
        }
    }
}
