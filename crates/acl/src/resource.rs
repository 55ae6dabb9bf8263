//! What access rules speak of: topics, groups, clusters, and what is done to them.

use std::fmt;

named! {
    /// Java: `Action`.
    Action {
        Unknown = "Unknown",
        All = "All",
        Any = "Any",
        Pub = "Pub",
        Sub = "Sub",
        Create = "Create",
        Update = "Update",
        Delete = "Delete",
        Get = "Get",
        List = "List",
    }
    /// Java: `ResourceType`.
    ResourceType {
        Unknown = "Unknown",
        Any = "Any",
        Cluster = "Cluster",
        Namespace = "Namespace",
        Topic = "Topic",
        Group = "Group",
    }
}

/// Java: `ResourcePattern`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    Any,
    Literal,
    Prefixed,
}

/// What a rule is about: `*`, `Topic:*`, `Topic:orders-*` or `Topic:orders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub kind: ResourceType,
    /// `None` with [`Pattern::Any`].
    pub name: Option<String>,
    pub pattern: Pattern,
}

impl Resource {
    /// `None` if the text is none (Java: `Resource.of`).
    pub fn parse(key: &str) -> Option<Self> {
        if key.trim().is_empty() {
            return None;
        }
        if key == "*" {
            return Some(Self { kind: ResourceType::Any, name: None, pattern: Pattern::Any });
        }
        let (kind, name) = key.split_once(':').unwrap_or((key, ""));
        let kind = ResourceType::from_name(kind)?;
        let (name, pattern) = match name {
            "*" => (None, Pattern::Any),
            // Java: everything before the first asterisk, wherever it stands.
            prefix if prefix.ends_with('*') => (prefix.split('*').next(), Pattern::Prefixed),
            name => (Some(name), Pattern::Literal),
        };
        Some(Self { kind, name: name.map(str::to_owned), pattern })
    }

    pub fn literal(kind: ResourceType, name: &str) -> Self {
        Self { kind, name: Some(name.to_owned()), pattern: Pattern::Literal }
    }

    pub fn any(kind: ResourceType) -> Self {
        Self { kind, name: None, pattern: Pattern::Any }
    }

    /// Whether the rule's resource covers the one that a request is about.
    pub fn covers(&self, kind: ResourceType, name: &str) -> bool {
        if self.kind == ResourceType::Any {
            return true;
        }
        let own = self.name.as_deref().unwrap_or_default();
        self.kind == kind
            && match self.pattern {
                Pattern::Any => true,
                Pattern::Literal => name == own,
                Pattern::Prefixed => name.starts_with(own),
            }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == ResourceType::Any {
            return f.write_str("*");
        }
        let name = self.name.as_deref().unwrap_or_default();
        write!(f, "{}:", self.kind.name())?;
        match self.pattern {
            Pattern::Any => f.write_str("*"),
            Pattern::Literal => f.write_str(name),
            Pattern::Prefixed => write!(f, "{name}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_written_back() {
        for key in ["*", "Topic:*", "Group:orders-*", "Topic:a:b", "Cluster:DefaultCluster"] {
            assert_eq!(Resource::parse(key).expect("a resource").to_string(), key);
        }
        assert_eq!(Resource::parse("topic:x").expect("any case").to_string(), "Topic:x");
        for key in ["", "  ", "Topics:x", "x", ":x"] {
            assert_eq!(Resource::parse(key), None, "{key}");
        }
    }

    #[test]
    fn a_resource_covers_what_its_pattern_says() {
        let covers =
            |key: &str, kind, name| Resource::parse(key).expect("valid").covers(kind, name);
        use ResourceType::{Group, Topic};
        assert!(covers("*", Group, "g"));
        assert!(covers("Topic:*", Topic, "t"));
        assert!(!covers("Topic:*", Group, "t"));
        assert!(covers("Topic:ab*", Topic, "abc") && covers("Topic:ab*", Topic, "ab"));
        assert!(!covers("Topic:ab*", Topic, "a"));
        assert!(covers("Topic:ab", Topic, "ab") && !covers("Topic:ab", Topic, "abc"));
        assert!(covers("Topic:a*b*", Topic, "axx"));
    }
}
