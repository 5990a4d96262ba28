use std::fmt;

/// A filter that may drop a bridged guest's frames, though they are none of its business.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForeignFilter {
    /// Table and chain, in the words of the command that shows them.
    pub chain: String,
    /// How it drops what it does not know.
    pub drops: &'static str,
    /// The sysctl that lets it see bridged frames; none for one of the bridge's own.
    pub sysctl: Option<&'static str>,
    /// A command that would make an exception of bridged frames.
    pub exception: String,
}

impl fmt::Display for ForeignFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain, drops, sysctl, exception } = self;
        match sysctl {
            Some(sysctl) => write!(
                f,
                "{chain} may drop its frames ({drops}), because {sysctl} is 1; \
                 `sysctl -w {sysctl}=0`, or make an exception with `{exception}`"
            ),
            None => write!(
                f,
                "{chain} may drop its frames ({drops}); make an exception with `{exception}`"
            ),
        }
    }
}
