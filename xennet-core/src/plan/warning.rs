use std::fmt;

use super::ForeignFilter;
use crate::types::IfName;

/// What the plan cannot help, and the administrator should know. Prints as one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Somebody else's filter may drop what the guest sends or is sent.
    Filtered {
        /// The guest's interface.
        link: IfName,
        /// Which filter.
        filter: ForeignFilter,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filtered { link, filter } => write!(f, "{link}: {filter}"),
        }
    }
}
