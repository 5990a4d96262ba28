use super::ConfigError;
use super::table::Table;
use crate::types::Policing;

/// `policing_rate` and `policing_burst`, if a table has them.
pub(super) fn policing(table: &mut Table<'_>) -> Result<Option<Policing>, ConfigError> {
    let (rate, burst): (Option<u32>, Option<u32>) =
        (table.optional("policing_rate")?, table.optional("policing_burst")?);
    match (rate, burst) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(table.wrong("policing_burst", "policing_burst needs a policing_rate as well"))
        }
        (Some(rate), burst) => Ok(Some(Policing { rate, burst: burst.unwrap_or(0) })),
    }
}
