//! Options of mqadmin's commands as commons-cli's `DefaultParser` reads them, since scripts rely
//! on its forms: `-t X`, `-tX`, `-t=X`, `--topic X`, `--topic=X`, `-topic X`, `-lh`, `--` and
//! unambiguous beginnings of long names.

use std::collections::BTreeMap;

/// One option of a command. `short` may have several letters (`-qn`) or be empty.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    pub short: &'static str,
    pub long: &'static str,
    pub takes_value: bool,
    pub required: bool,
    pub help: &'static str,
}

/// What a command declares, in the order in which missing ones are reported.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    One(Opt),
    /// Exactly one of these must be given.
    OneOf(&'static [Opt]),
    /// At most one of these may be given.
    AnyOf(&'static [Opt]),
}

/// An optional option with a value.
pub const fn value(short: &'static str, long: &'static str, help: &'static str) -> Entry {
    Entry::One(alternative(short, long, help))
}

/// An option that must be given.
pub const fn required(short: &'static str, long: &'static str, help: &'static str) -> Entry {
    Entry::One(Opt { short, long, takes_value: true, required: true, help })
}

/// An option without a value.
pub const fn flag(short: &'static str, long: &'static str, help: &'static str) -> Entry {
    Entry::One(Opt { short, long, takes_value: false, required: false, help })
}

/// A member of [`Entry::OneOf`] or [`Entry::AnyOf`].
pub const fn alternative(short: &'static str, long: &'static str, help: &'static str) -> Opt {
    Opt { short, long, takes_value: true, required: false, help }
}

const HELP: Entry = flag("h", "help", "Print help");
/// Skua's own options, which every command has beside those of Java's tool. They are read in full
/// only, so that no beginning of one of Java's options means something else than before.
pub const OWN: [Opt; 3] = [
    Opt {
        short: "",
        long: "json",
        takes_value: false,
        required: false,
        help: "Print the answer as JSON, one value a line",
    },
    Opt {
        short: "",
        long: "dry-run",
        takes_value: false,
        required: false,
        help: "Change nothing; print the requests that would change something",
    },
    alternative("", "timeout", "Longest wait for one answer of a server, in seconds (5)"),
];

const NAMESRV: Entry =
    value("n", "namesrvAddr", "Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'");

impl Opt {
    /// The name under which commons-cli keeps it: the short one if there is one.
    pub fn key(&self) -> &'static str {
        if self.short.is_empty() { self.long } else { self.short }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    #[error("Unrecognized option: {0}")]
    Unknown(String),
    #[error("Ambiguous option: '{given}'  (could be: {})", .could_be.join(", "))]
    Ambiguous { given: String, could_be: Vec<&'static str> },
    #[error("Missing argument for option: {0}")]
    MissingValue(&'static str),
    #[error("Missing required option{}: {}", if .0.len() == 1 { "" } else { "s" }, .0.join(", "))]
    MissingRequired(Vec<String>),
    #[error(
        "The option '{given}' was specified but an option from this group has already been selected: '{before}'"
    )]
    AlreadySelected { given: &'static str, before: &'static str },
}

/// The options of one command together with the common ones (`-h`, `-n`) and [`OWN`].
#[derive(Clone, Debug)]
pub struct Syntax {
    entries: Vec<Entry>,
}

/// What was given on the command line.
#[derive(Clone, Debug, Default)]
pub struct Given {
    values: BTreeMap<&'static str, Option<String>>,
}

impl Given {
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The value of option `key`, without surrounding blanks, if it was given.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.as_deref().map(str::trim)
    }
}

impl Syntax {
    pub fn new(options: &[Entry]) -> Self {
        let mut entries = vec![HELP];
        // deleteExpiredCommitLog and some others declare -n themselves.
        let own_namesrv = options.iter().flat_map(|entry| entry.opts()).any(|opt| opt.short == "n");
        if !own_namesrv {
            entries.push(NAMESRV);
        }
        entries.extend_from_slice(options);
        Self { entries }
    }

    /// Every option but [`OWN`].
    pub fn all(&self) -> impl Iterator<Item = Opt> {
        self.opts().copied()
    }

    fn opts(&self) -> impl Iterator<Item = &Opt> {
        self.entries.iter().flat_map(|entry| entry.opts())
    }

    /// One of [`OWN`], `--name` or `--name=value`.
    fn own(token: &str) -> Option<(Opt, Option<&str>)> {
        let body = token.strip_prefix("--")?;
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        let opt = OWN.into_iter().find(|opt| opt.long == name)?;
        (opt.takes_value || value.is_none()).then_some((opt, value))
    }

    fn by_short(&self, name: &str) -> Option<Opt> {
        self.opts().find(|opt| !opt.short.is_empty() && opt.short == name).copied()
    }

    /// Options whose long name begins with `name`; only the exact one if there is one.
    fn by_long(&self, name: &str) -> Vec<Opt> {
        if let Some(exact) = self.opts().find(|opt| opt.long == name) {
            return vec![*exact];
        }
        self.opts().filter(|opt| opt.long.starts_with(name)).copied().collect()
    }

    fn one_by_long(&self, name: &str, token: &str) -> Result<Opt, UsageError> {
        match self.by_long(name).as_slice() {
            [] => Err(UsageError::Unknown(token.to_owned())),
            [opt] => Ok(*opt),
            many => Err(UsageError::Ambiguous {
                given: token.to_owned(),
                could_be: many.iter().map(|opt| opt.long).collect(),
            }),
        }
    }

    /// Reads `args`. Words that are no options are ignored, as Java's tool does.
    pub fn parse(&self, args: &[String]) -> Result<Given, UsageError> {
        let mut given = Given::default();
        let mut waiting: Option<Opt> = None;
        let mut only_words = false;
        for token in args {
            if only_words {
                continue;
            }
            if let Some(opt) = waiting
                && !self.is_option(token)
            {
                given.values.insert(opt.key(), Some(without_quotes(token)));
                waiting = None;
                continue;
            }
            if let Some(opt) = waiting.take() {
                return Err(UsageError::MissingValue(opt.key()));
            }
            if token == "--" {
                only_words = true;
            } else if let Some((opt, value)) = Self::own(token) {
                waiting = self.select(opt, value, &mut given)?;
            } else if let Some(name) = token.strip_prefix("--") {
                waiting = self.long(name, token, &mut given)?;
            } else if token.starts_with('-') && token.len() > 1 {
                waiting = self.short_or_long(token, &mut given)?;
            }
        }
        if let Some(opt) = waiting {
            return Err(UsageError::MissingValue(opt.key()));
        }
        if given.has("h") {
            return Ok(given);
        }
        self.check_required(&given)?;
        Ok(given)
    }

    fn long(&self, name: &str, token: &str, given: &mut Given) -> Result<Option<Opt>, UsageError> {
        match name.split_once('=') {
            None => {
                let opt = self.one_by_long(name, token)?;
                self.select(opt, None, given)
            }
            Some((name, value)) => {
                let opt = self.one_by_long(name, token)?;
                if !opt.takes_value {
                    return Err(UsageError::Unknown(token.to_owned()));
                }
                self.select(opt, Some(value), given)
            }
        }
    }

    fn short_or_long(&self, token: &str, given: &mut Given) -> Result<Option<Opt>, UsageError> {
        let body = token.trim_start_matches('-');
        if let Some(opt) = self.by_short(body) {
            return self.select(opt, None, given);
        }
        if let Some((name, value)) = body.split_once('=') {
            let found = match self.by_short(name) {
                Some(opt) => Some(opt),
                None => self.by_long(name).first().copied(),
            };
            if let Some(opt) = found.filter(|opt| opt.takes_value) {
                return self.select(opt, Some(value), given);
            }
        } else if !self.by_long(body).is_empty() {
            let opt = self.one_by_long(body, token)?;
            return self.select(opt, None, given);
        }
        self.concatenated(body, token, given)
    }

    /// `-lh` is `-l -h`; `-tNAME` is `-t NAME`.
    fn concatenated(
        &self,
        body: &str,
        token: &str,
        given: &mut Given,
    ) -> Result<Option<Opt>, UsageError> {
        for (at, letter) in body.char_indices() {
            let end = at + letter.len_utf8();
            let Some(opt) = self.by_short(&body[at..end]) else {
                return Err(UsageError::Unknown(token.to_owned()));
            };
            let rest = &body[end..];
            if opt.takes_value && !rest.is_empty() {
                return self.select(opt, Some(rest), given);
            }
            let waiting = self.select(opt, None, given)?;
            if waiting.is_some() {
                return Ok(waiting);
            }
        }
        Ok(None)
    }

    /// Notes that `opt` was given; returns it if its value must come with the next word.
    fn select(
        &self,
        opt: Opt,
        value: Option<&str>,
        given: &mut Given,
    ) -> Result<Option<Opt>, UsageError> {
        for entry in &self.entries {
            let (Entry::OneOf(group) | Entry::AnyOf(group)) = entry else { continue };
            if !group.iter().any(|member| member.key() == opt.key()) {
                continue;
            }
            let before =
                group.iter().find(|member| member.key() != opt.key() && given.has(member.key()));
            if let Some(before) = before {
                return Err(UsageError::AlreadySelected { given: opt.key(), before: before.key() });
            }
        }
        match value {
            Some(value) => {
                given.values.insert(opt.key(), Some(without_quotes(value)));
                Ok(None)
            }
            None => {
                given.values.insert(opt.key(), None);
                Ok(opt.takes_value.then_some(opt))
            }
        }
    }

    /// Whether a word would be read as an option; if not, it can be a value (`-1`, `-key`).
    fn is_option(&self, token: &str) -> bool {
        if !token.starts_with('-') || token.len() < 2 || token.parse::<f64>().is_ok() {
            return false;
        }
        if Self::own(token).is_some() {
            return true;
        }
        let body = token.trim_start_matches('-');
        let name = body.split_once('=').map_or(body, |(name, _)| name);
        if !self.by_long(name).is_empty() && !name.is_empty() {
            return true;
        }
        if token.starts_with("--") {
            return false;
        }
        let first = name.chars().next().map_or(0, char::len_utf8);
        self.by_short(name).is_some() || (first > 0 && self.by_short(&name[..first]).is_some())
    }

    fn check_required(&self, given: &Given) -> Result<(), UsageError> {
        let missing: Vec<String> = self
            .entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::One(opt) => {
                    (opt.required && !given.has(opt.key())).then(|| opt.key().to_owned())
                }
                Entry::OneOf(group) => {
                    let none = !group.iter().any(|opt| given.has(opt.key()));
                    none.then(|| {
                        let members: Vec<String> = group
                            .iter()
                            .map(|opt| format!("-{} {}", opt.short, opt.help))
                            .collect();
                        format!("[{}]", members.join(", "))
                    })
                }
                Entry::AnyOf(_) => None,
            })
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(UsageError::MissingRequired(missing)) }
    }

    /// Every option of Java's tool, in the order of its help.
    pub(super) fn documented(&self) -> Vec<(Opt, Option<&'static [Opt]>, bool)> {
        let mut list = Vec::new();
        for entry in &self.entries {
            match *entry {
                Entry::One(opt) => list.push((opt, None, opt.required)),
                Entry::OneOf(group) => list.extend(group.iter().map(|o| (*o, Some(group), true))),
                Entry::AnyOf(group) => list.extend(group.iter().map(|o| (*o, Some(group), false))),
            }
        }
        list.sort_by_key(|(opt, _, _)| (opt.key().to_lowercase(), opt.key()));
        list
    }
}

impl Entry {
    fn opts(&self) -> &[Opt] {
        match self {
            Self::One(opt) => std::slice::from_ref(opt),
            Self::OneOf(group) | Self::AnyOf(group) => group,
        }
    }
}

/// commons-cli takes one pair of double quotes off a value.
fn without_quotes(value: &str) -> String {
    value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .filter(|inner| !inner.contains('"'))
        .unwrap_or(value)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &[Entry] = &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "create topic to which broker"),
            alternative("c", "clusterName", "create topic to which cluster"),
        ]),
        value("a", "attributes", "attribute(+a=b,+c=d,-e)"),
        required("t", "topic", "topic name"),
        value("qn", "totalQueueNum", "number of queues"),
        flag("l", "list", "Use list format to print data"),
    ];

    fn parse(line: &str) -> Result<Given, UsageError> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Syntax::new(OPTIONS).parse(&args)
    }

    #[test]
    fn every_form_of_a_value_is_read() {
        for line in [
            "-b x -t T",
            "-bx -tT",
            "-b=x -t=T",
            "--brokerAddr x --topic T",
            "--brokerAddr=x --topic=T",
            "-brokerAddr x -topic T",
            "--broker x --top T",
        ] {
            let given = parse(line).expect(line);
            assert_eq!((given.get("b"), given.get("t")), (Some("x"), Some("T")), "{line}");
        }
    }

    #[test]
    fn short_names_of_two_letters_and_joined_flags_are_read() {
        let given = parse("-b x -t T -qn 4 -l").expect("valid");
        assert_eq!(given.get("qn"), Some("4"));
        assert!(given.has("l"));
        assert!(parse("-lh").expect("help needs nothing else").has("h"));
    }

    #[test]
    fn values_that_begin_with_a_dash_are_values_unless_they_name_an_option() {
        assert_eq!(
            parse("-b x -t T -a -message.type").expect("valid").get("a"),
            Some("-message.type")
        );
        assert_eq!(parse("-b x -t -1").expect("valid").get("t"), Some("-1"));
        assert_eq!(parse("-b x -t -l").unwrap_err(), UsageError::MissingValue("t"));
    }

    #[test]
    fn wrong_usage_is_told_in_the_words_of_commons_cli() {
        let told = |line: &str| parse(line).unwrap_err().to_string();
        assert_eq!(told("-b x -t T -Z"), "Unrecognized option: -Z");
        assert_eq!(told("-b x -t"), "Missing argument for option: t");
        assert_eq!(told("-b x"), "Missing required option: t");
        assert_eq!(
            told(""),
            "Missing required options: [-b create topic to which broker, -c create topic to which cluster], t"
        );
        assert_eq!(
            told("-b x -c y -t T"),
            "The option 'c' was specified but an option from this group has already been selected: 'b'"
        );
    }

    #[test]
    fn own_options_are_read_in_full_and_never_shadow_one_of_javas() {
        let given = parse("-b x --timeout 3 -t T --json --dry-run").expect("valid");
        assert_eq!(given.get("timeout"), Some("3"));
        assert!(given.has("json") && given.has("dry-run"));
        assert_eq!(parse("-b x --top T").expect("a beginning").get("t"), Some("T"));
        assert_eq!(parse("-b x -t T --timeout").unwrap_err(), UsageError::MissingValue("timeout"));
        assert_eq!(parse("-b x -t T --js").unwrap_err(), UsageError::Unknown("--js".to_owned()));
    }

    #[test]
    fn words_that_are_no_options_are_ignored() {
        assert_eq!(parse("extra -b x -t T -- -Z").expect("valid").get("t"), Some("T"));
    }
}
