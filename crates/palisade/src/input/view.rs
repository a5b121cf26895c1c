//! Answers: a struct, how it is written, and its schema, from one text.
//!
//! An answer shows all its members in the order of their declaration. What it has no value for is
//! `null`, never left out, so that a reader can tell "none" from "not in this version".

/// Declares an answer: the struct, how it is written as JSON, and its schema.
///
/// Each member's type must be [`Serialize`](serde::Serialize) and [`Schema`](crate::input::Schema).
/// All members are required; an `Option<T>` may be `null`. The documentation comments become the
/// descriptions in the OpenAPI document. Members may be added later, so the schema leaves room.
///
/// ```
/// use palisade::clock::Timestamp;
/// use palisade::input::Schema;
///
/// palisade::view! {
///     /// A parcel on its way.
///     pub struct ParcelView {
///         /// When it was handed over.
///         pub sent_at: Timestamp,
///         /// When it arrived.
///         pub arrived_at: Option<Timestamp>,
///     }
/// }
///
/// let parcel = ParcelView { sent_at: Timestamp::from_millis(0), arrived_at: None };
/// let shown = serde_json::to_string(&parcel).unwrap();
/// assert_eq!(shown, r#"{"sent_at":"1970-01-01T00:00:00.000Z","arrived_at":null}"#);
/// assert_eq!(ParcelView::schema()["required"][1], "arrived_at");
/// assert_eq!(ParcelView::schema()["properties"]["arrived_at"]["anyOf"][1]["type"], "null");
/// ```
#[macro_export]
macro_rules! view {
    (
        $(#[doc = $about:literal])*
        $visibility:vis struct $name:ident {
            $(
                $(#[doc = $member_about:literal])*
                $member_visibility:vis $member:ident: $kind:ty,
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone)]
        $visibility struct $name {
            $(
                $(#[doc = $member_about])*
                $member_visibility $member: $kind,
            )*
        }

        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                use $crate::serde::ser::SerializeStruct as _;
                let count = [$( stringify!($member) ),*].len();
                let mut members = out.serialize_struct(stringify!($name), count)?;
                $( members.serialize_field(stringify!($member), &self.$member)?; )*
                members.end()
            }
        }

        impl $crate::input::Schema for $name {
            const NAME: Option<&'static str> = Some(stringify!($name));

            fn schema() -> $crate::serde_json::Value {
                let mut properties = $crate::serde_json::Map::new();
                $(
                    properties.insert(
                        stringify!($member).to_owned(),
                        $crate::input::described(
                            $crate::input::shown::<$kind>(),
                            concat!($( $member_about, "\n" ),*),
                        ),
                    );
                )*
                $crate::serde_json::json!({
                    "type": "object",
                    "description": concat!($( $about, "\n" ),*).trim(),
                    "properties": properties,
                    "required": [$( stringify!($member) ),*],
                })
            }

            fn collect(named: &mut $crate::serde_json::Map<String, $crate::serde_json::Value>) {
                named.entry(stringify!($name)).or_insert_with(Self::schema);
                $( <$kind as $crate::input::Schema>::collect(named); )*
            }
        }
    };
}
