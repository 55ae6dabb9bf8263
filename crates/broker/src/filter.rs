//! Which messages of a queue a subscription takes, by the tag hashes of the consume queue.

use std::sync::Arc;

use skua_protocol::body::{SUBSCRIBE_ALL, SubscriptionData};

/// A subscription's filter as far as a consume queue entry can tell; the client compares the tags
/// themselves, so hashes that collide do no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    All,
    /// Tag hashes, sorted.
    Tags(Arc<[i32]>),
}

impl Filter {
    /// The filter of a subscription by tags. Java: a subscription that is neither `*` nor has any
    /// tag takes nothing; filtering by class is a removed feature and takes all.
    pub fn of(subscription: &SubscriptionData) -> Self {
        let all = matches!(subscription.sub_string.as_str(), SUBSCRIBE_ALL | "");
        if subscription.class_filter_mode || all {
            return Self::All;
        }
        Self::Tags(subscription.code_set.iter().copied().collect())
    }

    pub fn takes(&self, tags_code: i64) -> bool {
        match self {
            Self::All => true,
            // Numbers that are no hash point to where the hash is; the client compares then.
            Self::Tags(codes) => {
                i32::try_from(tags_code).map_or(true, |code| codes.binary_search(&code).is_ok())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use skua_protocol::Millis;
    use skua_protocol::record::tags_code;

    use super::*;

    fn filter(expression: &str) -> Filter {
        Filter::of(&SubscriptionData::by_tags("T", expression, Millis(0)))
    }

    #[test]
    fn tags_are_compared_by_hash() {
        let filter = filter("TagA || TagB");
        assert!(filter.takes(tags_code("TagA")));
        assert!(!filter.takes(tags_code("TagC")));
        assert!(!filter.takes(0));
        // Java's String.hashCode of both is 2112.
        assert!(self::filter("Aa").takes(tags_code("BB")));
    }

    #[test]
    fn everything_is_taken_by_a_star() {
        assert_eq!(filter("*"), Filter::All);
        assert!(filter("*").takes(0));
    }
}
