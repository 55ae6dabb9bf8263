//! `config_table!`: rows in, a struct and its [`Key`](super::Key)s out.

macro_rules! config_table {
    (
        |$env:ident|
        $(#[$meta:meta])*
        pub struct $name:ident($class:literal);
        $(
            #[doc = $doc:literal]
            $effect:ident $(@ $mark:ident)? $($field:ident)? $key:literal $(| $alias:literal)*:
                $type:ty = $default:expr
                $(, in $range:expr)? $(, checked $check:expr)? $(, shown $shown:literal)?;
        )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc] pub $field: $type,)?)*
        }

        impl $name {
            pub const KEYS: &'static [$crate::table::Key] = &[$($crate::table::Key {
                class: $class,
                name: $key,
                aliases: &[$($alias),*],
                effect: $crate::table::macros::effect!($effect),
                important: false $(|| $crate::table::macros::mark!($mark))?,
                type_name: <$type as $crate::value::Value>::TYPE,
                doc: $doc.trim_ascii(),
                shown: $crate::table::macros::option!($($shown)?),
                default: |$env| {
                    let _ = $env;
                    let default: $type = $default;
                    $crate::value::Value::show(&default)
                },
                check: |value| {
                    $(($check)(value)?;)?
                    let range = $crate::table::macros::option!($($range)?);
                    <$type as $crate::value::Value>::parse(value, range).map(drop)
                },
            },)*];

            /// The defaults on the machine that `env` describes.
            pub fn new($env: &$crate::Environment) -> Self {
                let _ = $env;
                Self { $($($field: $default,)?)* }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(&$crate::Environment::default())
            }
        }

        impl $crate::table::Part for $name {
            fn keys(&self) -> &'static [$crate::table::Key] {
                Self::KEYS
            }

            fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
                match (key, value) {
                    $($(($key, value) => self.$field = $crate::value::Value::parse(value, None)?,)?)*
                    _ => {}
                }
                Ok(())
            }

            fn get(&self, key: &str) -> Option<Option<String>> {
                match key {
                    $($($key => Some($crate::value::Value::show(&self.$field)),)?)*
                    _ => None,
                }
            }
        }
    };
}

macro_rules! effect {
    (live) => {
        $crate::table::Effect::Live
    };
    (restart) => {
        $crate::table::Effect::Restart
    };
    (inert) => {
        $crate::table::Effect::Inert
    };
    (refused) => {
        $crate::table::Effect::Refused
    };
    (unserved) => {
        $crate::table::Effect::NotServed
    };
    (unset) => {
        $crate::table::Effect::Unset
    };
}

macro_rules! mark {
    (important) => {
        true
    };
}

macro_rules! option {
    () => {
        None
    };
    ($some:expr) => {
        Some($some)
    };
}

pub(super) use {config_table, effect, mark, option};
