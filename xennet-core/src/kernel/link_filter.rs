/// Which interfaces to list: the kernel filters, and sends no more than is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkFilter<'a> {
    /// All of them. `ip link show`
    All,
    /// Those of a kind, such as `bridge`. `ip link show type KIND`
    Kind(&'a str),
    /// The ports of the bridge (or other master) with this index. `ip link show master BRIDGE`
    Master(u32),
}
