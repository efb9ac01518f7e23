//! `bytes` fields: embedded JSON in a JSON message, opaque bytes in a Protobuf one.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

/// Writes `bytes` as the JSON they are. Anything else would let one sender break the frame of
/// every other, so it is an error, and line breaks, which separate messages, become spaces.
pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    let raw: &RawValue = serde_json::from_slice(bytes).map_err(ser::Error::custom)?;
    if !raw.get().contains('\n') {
        return raw.serialize(serializer);
    }
    // Legal between tokens only, where a space means the same.
    let text = raw.get().replace('\n', " ");
    RawValue::from_string(text)
        .map_err(ser::Error::custom)?
        .serialize(serializer)
}

/// Takes the JSON value to the letter.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer).map_err(de::Error::custom)?;
    let text: Box<str> = raw.into();
    Ok(Bytes::from(text.into_boxed_bytes()))
}

/// Whether a field holds what centrifuge leaves out of JSON.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
