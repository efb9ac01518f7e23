//! JSON objects that hold one of many things, each under its own name: commands, replies, pushes.
//!
//! Serde's own ways to read such an object copy its data or a struct of all variants; this reads
//! each field once, into its place.

/// Reads `$Type` from an object with the `$field`s and at most one `$Variant` of `$Enum`, which
/// goes into `$one`. Names are in snake case; unknown ones are ignored, null is absent.
macro_rules! tagged {
    ($Type:ident { $($Field:ident => $field:ident),+ } $one:ident: $Enum:ident {
        $($Variant:ident),+ $(,)?
    }) => {
        impl<'de> serde::Deserialize<'de> for $Type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(serde::Deserialize)]
                #[serde(field_identifier, rename_all = "snake_case")]
                enum Name {
                    $($Field,)+
                    $($Variant,)+
                    #[serde(other)]
                    Unknown,
                }
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $Type;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut fields: A,
                    ) -> Result<$Type, A::Error> {
                        let mut read = $Type::default();
                        while let Some(name) = fields.next_key()? {
                            let one = match name {
                                $(Name::$Field => {
                                    read.$field = fields.next_value()?;
                                    continue;
                                })+
                                $(Name::$Variant => {
                                    fields.next_value::<Option<_>>()?.map($Enum::$Variant)
                                })+
                                Name::Unknown => {
                                    fields.next_value::<serde::de::IgnoredAny>()?;
                                    continue;
                                }
                            };
                            if read.$one.is_some() && one.is_some() {
                                let names = concat!("must have one ", stringify!($one), ", got two");
                                return Err(serde::de::Error::custom(names));
                            }
                            read.$one = read.$one.or(one);
                        }
                        Ok(read)
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }
    };
}

pub(crate) use tagged;
