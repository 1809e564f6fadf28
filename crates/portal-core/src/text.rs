//! Conversions that every name and every closed set of words has.

/// A closed set of stable words, as [`word_enum`](crate::word_enum) defines them.
pub trait WordEnum: Copy {
    /// The words, in the order of their definition.
    const WORDS: &'static [&'static str];

    /// Returns the word.
    fn word(self) -> &'static str;
}

/// Implements the conversions of string newtypes: `as_str`, [`Display`](std::fmt::Display) and [`AsRef<str>`], and,
/// through the type's own `parse(&str) -> Result<Self, Invalid>`, [`FromStr`](std::str::FromStr) and [`TryFrom`].
///
/// A type that nobody reads from text, or that has a `parse` of another shape, is listed after `write only:`.
#[macro_export]
macro_rules! string_newtype {
    (write only: $($name:ident),+ $(,)?) => {$(
        impl $name {
            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl ::std::convert::AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )+};
    ($($name:ident),+ $(,)?) => {
        $crate::string_newtype!(write only: $($name),+);
        $($crate::parse_conversions!($name);)+
    };
}

/// Implements [`FromStr`](std::str::FromStr) and [`TryFrom`] by the type's own `parse(&str) -> Result<Self, Invalid>`.
#[doc(hidden)]
#[macro_export]
macro_rules! parse_conversions {
    ($name:ident) => {
        impl ::std::str::FromStr for $name {
            type Err = $crate::Invalid;

            fn from_str(text: &str) -> ::std::result::Result<Self, $crate::Invalid> {
                Self::parse(text)
            }
        }

        impl ::std::convert::TryFrom<&str> for $name {
            type Error = $crate::Invalid;

            fn try_from(text: &str) -> ::std::result::Result<Self, $crate::Invalid> {
                Self::parse(text)
            }
        }

        impl ::std::convert::TryFrom<::std::string::String> for $name {
            type Error = $crate::Invalid;

            fn try_from(text: ::std::string::String) -> ::std::result::Result<Self, $crate::Invalid> {
                Self::parse(&text)
            }
        }
    };
}

/// Defines an enum whose variants are stable words, with `ALL`, `as_str` and `parse`, and the conversions that go with
/// them. The text after the colon is the field that a refusal names.
#[macro_export]
macro_rules! word_enum {
    ($(#[$meta:meta])* pub enum $name:ident: $field:literal {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of its definition.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant,)+];

            /// Reads a value from its word.
            ///
            /// # Errors
            /// Refuses every other text, naming the words.
            pub fn parse(text: &str) -> ::std::result::Result<Self, $crate::Invalid> {
                match text {
                    $($word => ::std::result::Result::Ok(Self::$variant),)+
                    _ => ::std::result::Result::Err($crate::Invalid::not_one_of($field, &[$($word,)+])),
                }
            }

            /// Returns the word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::WordEnum for $name {
            const WORDS: &'static [&'static str] = &[$($word,)+];

            fn word(self) -> &'static str {
                self.as_str()
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl ::std::convert::AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        $crate::parse_conversions!($name);
    };
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use crate::{AgentId, FriendId, FriendshipStatus};

    #[test]
    fn a_name_is_read_by_its_rule_however_it_is_converted() {
        assert_eq!(FriendId::from_str("alice"), FriendId::parse("alice"));
        assert_eq!(FriendId::try_from("Alice"), FriendId::parse("Alice"));
        assert!(AgentId::try_from("_a".to_owned()).is_err());
        assert_eq!(FriendId::parse("alice").unwrap().as_ref(), "alice");
    }

    #[test]
    fn a_word_that_is_none_is_refused_with_those_that_are() {
        assert_eq!("blocked".parse(), Ok(FriendshipStatus::Blocked));
        let refused = FriendshipStatus::try_from("gone").unwrap_err();
        assert_eq!((refused.field, &*refused.message), ("status", "status must be active, inactive or blocked"));
    }
}
