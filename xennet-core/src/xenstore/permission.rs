use std::fmt;

/// What one domain may do with a node, written as `xenstore-chmod` takes it: `r3`.
///
/// A node has a list of these. The first names the owner, who may do everything, and its access is that of
/// every domain that the rest does not name. Domain 0 may do everything everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the protocol knows a letter and a domain")]
pub struct Permission {
    /// The domain, or the owner in the first of a list.
    pub domid: u16,
    /// What it may do; in the first of a list, what all others may do.
    pub access: Access,
}

/// What a domain may do with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol knows these four letters")]
pub enum Access {
    /// Nothing: `n`.
    None,
    /// Read: `r`.
    Read,
    /// Write: `w`.
    Write,
    /// Read and write: `b`.
    Both,
}

impl Permission {
    /// From the protocol's form: a letter and a decimal domain id.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (letter, domid) = bytes.split_first()?;
        let access = match letter {
            b'n' => Access::None,
            b'r' => Access::Read,
            b'w' => Access::Write,
            b'b' => Access::Both,
            _ => return None,
        };
        // `parse` alone would take "+3".
        if !domid.iter().all(u8::is_ascii_digit) {
            return None;
        }
        Some(Self { domid: str::from_utf8(domid).ok()?.parse().ok()?, access })
    }
}

impl Access {
    /// Whether reading is allowed.
    pub fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Both)
    }

    /// Whether writing is allowed.
    pub fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Both)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.access {
            Access::None => 'n',
            Access::Read => 'r',
            Access::Write => 'w',
            Access::Both => 'b',
        };
        write!(f, "{letter}{}", self.domid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_protocols_form() {
        for bad in ["", "r", "3", "x3", "r-1", "r+1", "r65536", "r3 ", "R3"] {
            assert_eq!(Permission::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_what_was_printed_gives_it_back(domid: u16, letter in 0usize..4) {
            let access = [Access::None, Access::Read, Access::Write, Access::Both][letter];
            let permission = Permission { domid, access };
            prop_assert_eq!(Permission::parse(permission.to_string().as_bytes()), Some(permission));
        }
    }
}
