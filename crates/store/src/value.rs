//! Answers of functions, taken apart.

use bytes::Bytes;
use redis::Value;

use crate::error::{Error, Result};

/// The elements of an array answer, in order.
pub(crate) struct Fields {
    what: &'static str,
    values: std::vec::IntoIter<Value>,
}

impl Fields {
    pub(crate) fn of(what: &'static str, value: Value) -> Result<Self> {
        match value {
            Value::Array(values) | Value::Set(values) => Ok(Self {
                what,
                values: values.into_iter(),
            }),
            Value::Map(pairs) => {
                let values: Vec<Value> = pairs
                    .into_iter()
                    .flat_map(|(key, value)| [key, value])
                    .collect();
                Ok(Self {
                    what,
                    values: values.into_iter(),
                })
            }
            Value::Nil => Ok(Self {
                what,
                values: Vec::new().into_iter(),
            }),
            other => Err(Error::corrupt(
                what,
                format!("expected an array, got {other:?}"),
            )),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.as_slice().is_empty()
    }

    pub(crate) fn value(&mut self) -> Result<Value> {
        self.values
            .next()
            .ok_or_else(|| Error::corrupt(self.what, "too few elements"))
    }

    pub(crate) fn number(&mut self) -> Result<u64> {
        let value = self.value()?;
        number(self.what, &value)
    }

    /// A number that may be -1 for "unknown".
    pub(crate) fn known(&mut self) -> Result<Option<u64>> {
        match self.value()? {
            Value::Int(-1) => Ok(None),
            value => number(self.what, &value).map(Some),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes> {
        let value = self.value()?;
        bytes(self.what, value)
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        let value = self.value()?;
        text(self.what, value)
    }

    /// All that is left, as bytes.
    pub(crate) fn rest(self) -> Result<Vec<Bytes>> {
        let what = self.what;
        self.values.map(|value| bytes(what, value)).collect()
    }

    /// All that is left, as texts.
    pub(crate) fn texts(self) -> Result<Vec<String>> {
        let what = self.what;
        self.values.map(|value| text(what, value)).collect()
    }
}

pub(crate) fn number(what: &'static str, value: &Value) -> Result<u64> {
    let found = match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(bytes) => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse().ok()),
        Value::SimpleString(text) => text.parse().ok(),
        // Scores of sorted sets; all of ours are whole and below 2^53.
        Value::Double(double) if *double >= 0.0 && double.fract() == 0.0 => {
            format!("{double:.0}").parse().ok()
        }
        _ => None,
    };
    found.ok_or_else(|| Error::corrupt(what, format!("expected a number, got {value:?}")))
}

pub(crate) fn bytes(what: &'static str, value: Value) -> Result<Bytes> {
    match value {
        Value::BulkString(bytes) => Ok(bytes.into()),
        Value::SimpleString(text) => Ok(text.into_bytes().into()),
        other => Err(Error::corrupt(
            what,
            format!("expected bytes, got {other:?}"),
        )),
    }
}

pub(crate) fn text(what: &'static str, value: Value) -> Result<String> {
    let bytes = bytes(what, value)?;
    String::from_utf8(bytes.into()).map_err(|error| Error::corrupt(what, error))
}

/// A value that may be absent.
pub(crate) fn optional(value: Value) -> Option<Value> {
    (!matches!(value, Value::Nil)).then_some(value)
}
