use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::ConfigError;

/// A table of `xennet.toml`, taken apart key by key: whoever takes a key makes it known, and what is left at the end is
/// an error that names the nearest known one.
#[derive(Debug)]
pub(super) struct Table<'t> {
    text: &'t str,
    /// What it is called in messages: `[[bridge]]`.
    title: String,
    /// Where it begins.
    start: usize,
    entries: DeTable<'t>,
    /// The keys that were asked for, and where their values are, as far as they have one.
    known: BTreeMap<&'static str, Option<usize>>,
}

/// A value that is a text or a table.
#[derive(Debug)]
pub(super) enum TextOrTable<'t> {
    Text { text: String, at: usize },
    Table(Table<'t>),
}

impl<'t> Table<'t> {
    /// The whole text.
    pub(super) fn parse(text: &'t str) -> Result<Self, ConfigError> {
        let entries = DeTable::parse(text).map_err(|error| refused(text, 0, &error))?.into_inner();
        Ok(Self {
            text,
            title: "xennet.toml".to_owned(),
            start: 0,
            entries,
            known: BTreeMap::new(),
        })
    }

    /// The value of a key, if it is there.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let start = value.span().start;
        T::deserialize(ValueDeserializer::from(value))
            .map(Some)
            .map_err(|error| refused(self.text, start, &error))
    }

    /// The value of a key that must be there.
    pub(super) fn required<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
    ) -> Result<T, ConfigError> {
        if let Some(value) = self.optional(key)? {
            return Ok(value);
        }
        // It may be there, and misspelt.
        self.unknown(|known| known == key)?;
        Err(ConfigError::at(self.text, self.start, format!("{} has no {key}", self.title)))
    }

    /// The value of a key, or the one that the type has by itself.
    pub(super) fn or_default<T: DeserializeOwned + Default>(
        &mut self,
        key: &'static str,
    ) -> Result<T, ConfigError> {
        Ok(self.optional(key)?.unwrap_or_default())
    }

    /// The text of a value as XenStore would hold it: `"10p/20"`, `1500` or `true`.
    pub(super) fn plain(&mut self, key: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::String(text) => Ok(Some(text.to_string())),
            DeValue::Integer(number) if number.radix() == 10 => Ok(Some(number.to_string())),
            DeValue::Boolean(yes) => Ok(Some(yes.to_string())),
            _ => Err(self.wrong(key, format!("{key}: expected a string, a number or a boolean"))),
        }
    }

    /// `[key]`, if it is there.
    pub(super) fn table(&mut self, key: &'static str) -> Result<Option<Self>, ConfigError> {
        let title = format!("[{key}]");
        self.take(key).map(|value| self.inner(value, title)).transpose()
    }

    /// Every `[[key]]`, or the inline tables of `key = [...]`.
    pub(super) fn tables(&mut self, key: &'static str) -> Result<Vec<Self>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let title = format!("[[{key}]]");
        match value.into_inner() {
            DeValue::Array(values) => {
                values.into_iter().map(|value| self.inner(value, title.clone())).collect()
            }
            _ => Err(self.wrong(key, format!("{key}: there can be several: write {title}"))),
        }
    }

    /// The values of an array of texts and tables; each text with its position.
    pub(super) fn texts_or_tables(
        &mut self,
        key: &'static str,
    ) -> Result<Vec<TextOrTable<'t>>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let DeValue::Array(values) = value.into_inner() else {
            return Err(self.wrong(key, format!("{key}: expected an array")));
        };
        let one = |value: Spanned<DeValue<'t>>| match value.get_ref() {
            DeValue::String(text) => {
                Ok(TextOrTable::Text { text: text.to_string(), at: value.span().start })
            }
            _ => self.inner(value, format!("[[{key}]]")).map(TextOrTable::Table),
        };
        values.into_iter().map(one).collect()
    }

    /// That a text of this table is wrong.
    pub(super) fn wrong_at(&self, at: usize, message: impl Into<String>) -> ConfigError {
        ConfigError::at(self.text, at, message)
    }

    /// That the value of a key which was taken is wrong; of one that is not there, that its table is.
    pub(super) fn wrong(&self, key: &str, message: impl Into<String>) -> ConfigError {
        let at = self.known.get(key).copied().flatten().unwrap_or(self.start);
        ConfigError::at(self.text, at, message)
    }

    /// An error when there are keys that nobody asked for.
    pub(super) fn finish(&self) -> Result<(), ConfigError> {
        self.unknown(|_| true)
    }

    /// An error for the first key that nobody asked for, if the known one next to it is among those that are meant.
    fn unknown(&self, meant: impl Fn(&str) -> bool) -> Result<(), ConfigError> {
        let mut keys: Vec<_> = self.entries.keys().collect();
        keys.sort_unstable_by_key(|key| key.span().start);
        for key in keys {
            let name = key.get_ref().as_ref();
            let near = self
                .known
                .keys()
                .map(|known| (strsim::osa_distance(name, known), *known))
                .filter(|(distance, known)| *distance <= known.len() / 3 + 1)
                .min();
            if !meant(near.map_or("", |(_, known)| known)) {
                continue;
            }
            let all: Vec<_> = self.known.keys().copied().collect();
            let advice = near.map_or_else(
                || format!("expected one of {}", all.join(", ")),
                |(_, known)| format!("did you mean {known}?"),
            );
            let words = format!("unknown key {} in {}: {advice}", name.escape_debug(), self.title);
            return Err(ConfigError::at(self.text, key.span().start, words));
        }
        Ok(())
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'t>>> {
        let value = self.entries.remove(key);
        self.known.insert(key, value.as_ref().map(|value| value.span().start));
        value
    }

    fn inner(&self, value: Spanned<DeValue<'t>>, title: String) -> Result<Self, ConfigError> {
        let start = value.span().start;
        match value.into_inner() {
            DeValue::Table(entries) => {
                Ok(Self { text: self.text, title, start, entries, known: BTreeMap::new() })
            }
            _ => Err(ConfigError::at(self.text, start, format!("expected a table: write {title}"))),
        }
    }
}

fn refused(text: &str, start: usize, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(start, |span| span.start);
    ConfigError::at(text, at, error.message())
}
