//! Helpers for types that are sent as JSON.

use serde::{Deserialize, Deserializer};

/// Whether a key need not be sent: absent, it is the same.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A key that may be absent or null, and is then its type's default.
pub(super) fn nullable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
