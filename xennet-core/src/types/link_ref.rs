use super::IfName;

/// An interface as a change names it: by index where that is known, and by name for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[expect(
    clippy::exhaustive_structs,
    reason = "an index and a name are what identifies an interface"
)]
pub struct LinkRef {
    /// None while the interface is yet to be made by an earlier change.
    pub index: Option<u32>,
    /// Its name at the time of planning.
    pub name: IfName,
}
