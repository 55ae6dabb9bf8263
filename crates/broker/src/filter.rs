//! Which messages of a queue a subscription takes: by the tag hashes of the consume queue, or by
//! the properties of the records.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use skua_protocol::Millis;
use skua_protocol::body::{SUBSCRIBE_ALL, SubscriptionData};
use skua_protocol::properties::Properties;
use skua_protocol::record::Record;

use crate::filters::Filters;
use crate::sql92::CompiledFilter;
use crate::sql92::bloom::GroupBits;

/// A subscription's filter as far as the broker applies it; the client compares the tags
/// themselves, so hashes that collide do no harm.
#[derive(Clone)]
pub enum Filter {
    All,
    /// Tag hashes, sorted.
    Tags(Arc<[i32]>),
    /// An SQL expression over the record's properties; and how bit maps beside queue entries tell
    /// that it does not match, if the group is known from before.
    Sql(Arc<CompiledFilter>, Option<Arc<GroupBits>>),
    /// A group's retry topic, filtered by the expressions for the topics that its messages are
    /// from (`filterSupportRetry`).
    Retried {
        filters: Arc<Filters>,
        group: Arc<str>,
    },
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::Tags(codes) => f.debug_tuple("Tags").field(codes).finish(),
            Self::Sql(filter, _) => f.debug_tuple("Sql").field(&filter.expression()).finish(),
            Self::Retried { group, .. } => f.debug_tuple("Retried").field(group).finish(),
        }
    }
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

    /// Whether a queue entry is taken, as far as it tells.
    pub fn takes(&self, tags_code: i64) -> bool {
        match self {
            Self::All | Self::Sql(..) | Self::Retried { .. } => true,
            // Numbers that are no hash point to where the hash is; the client compares then.
            Self::Tags(codes) => {
                i32::try_from(tags_code).map_or(true, |code| codes.binary_search(&code).is_ok())
            }
        }
    }

    /// Whether the record may be taken, by what stands beside its queue entry.
    pub fn takes_bits(&self, store_time: Millis, bit_map: &[u8]) -> bool {
        match self {
            Self::Sql(_, Some(group)) => group.may_match(store_time, bit_map),
            _ => true,
        }
    }

    /// Whether bit maps tell something.
    pub fn looks_at_bits(&self) -> bool {
        matches!(self, Self::Sql(_, Some(_)))
    }

    /// Whether the record has to be asked as well.
    pub fn looks_at_records(&self) -> bool {
        matches!(self, Self::Sql(..) | Self::Retried { .. })
    }

    /// Whether a record with these properties is taken, where its queue entry was.
    pub fn takes_record(&self, properties: Properties<'_>) -> bool {
        match self {
            Self::All | Self::Tags(_) => true,
            Self::Sql(filter, _) => filter.matches(properties),
            Self::Retried { filters, group } => filters
                .for_retried(group, properties)
                .is_none_or(|filter| filter.matches(properties)),
        }
    }

    /// Whether a message that has just come may be taken; `record` gives it if it can be read.
    pub fn wants(&self, tags_code: i64, record: &dyn Fn() -> Option<Bytes>) -> bool {
        if !self.takes(tags_code) || !self.looks_at_records() {
            return self.takes(tags_code);
        }
        let Some(bytes) = record() else { return true };
        Record::parse(&bytes).map_or(true, |record| self.takes_record(record.properties()))
    }
}

#[cfg(test)]
mod tests {
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
        assert!(matches!(filter("*"), Filter::All));
        assert!(filter("*").takes(0));
    }
}
