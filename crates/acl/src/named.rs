//! Enums whose values have names in requests and files.

/// Declares them; a name counts in any case.
macro_rules! named {
    ($($(#[$of:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $text:literal,)+ })+) => {$(
        $(#[$of])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $value,)+ }

        impl $name {
            pub fn from_name(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($text) {
                    return Some(Self::$value);
                })+
                None
            }

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }
    )+};
}
