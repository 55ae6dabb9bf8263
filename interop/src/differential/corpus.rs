//! How requests are written.
//!
//! ```text
//! # A comment.
//! setting key=value …              lines of broker.conf, for the whole family
//! default CODE name=value …        fields of every request of this code; `name=-` leaves one out
//! scene NAME
//! SERVER STEP CODE name=value …    asks and waits for the answer; SERVER is `broker`, `namesrv`,
//!                                  or with a connection of its own `broker:one`
//!   body TEXT                      the body; `json …` says the same; `hex 00ff`; `size N`
//!   message BODY|name:value,…      one item of a batch's body; may be repeated
//!   until CODE                     asks again until the answer has this code, and a pulled queue
//!                                  has the same end twice
//!   save NAME field                keeps a field of the answer for `${NAME}`;
//!                                  `save NAME @msgId` keeps the physical offset within the id
//!   read KIND                      how the answer's body is read: messages, json, lines, text, hex
//!   oneway                         nobody answers
//!   later                          the answer is fetched by `answer SERVER STEP`
//!   frame version=401              other parts of the frame: version, language, flag
//!   header TEXT                    the whole JSON header as written
//! hear SERVER STEP CODE            waits for a request of the server
//! reply SERVER CODE name=value …   answers the last heard one
//! answer SERVER STEP
//! close SERVER
//! pause MILLISECONDS
//! ```
//! A value may be quoted, with `\n \t \" \\ \xNN`; `name@=a:1,b:2` writes message properties.
//! `${now}` is the time in ms, also `${now+60000}`; `${broker}` and `${namesrv}` are addresses.

use std::collections::HashMap;
use std::fs;

use super::text;

/// A file of scenes that share one pair of servers.
#[derive(Debug, Default)]
pub struct Family {
    pub name: String,
    pub settings: Vec<&'static str>,
    pub steps: Vec<Step>,
}

#[derive(Debug)]
pub struct Step {
    /// `scene/step`
    pub name: String,
    pub action: Action,
}

#[derive(Debug)]
pub enum Action {
    Ask(Request),
    Hear { server: String, code: i32 },
    Reply(Request),
    Answer { server: String },
    Close { server: String },
    Pause(u64),
}

/// Names and values, not yet with the variables' values.
pub type Pairs = Vec<(String, String)>;

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub server: String,
    pub code: i32,
    pub fields: Pairs,
    pub body: Body,
    pub until: Option<i32>,
    pub saves: Pairs,
    pub read: Option<String>,
    pub one_way: bool,
    pub later: bool,
    pub frame: Pairs,
    pub header: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub enum Body {
    #[default]
    None,
    Text(String),
    Hex(String),
    Size(usize),
    Batch(Vec<(String, Pairs)>),
}

impl Family {
    /// # Panics
    /// When the file is not written as told above.
    pub fn load(name: &str) -> Self {
        let path = super::folder().join(format!("{name}.txt"));
        let content = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        let mut family = Self { name: name.to_owned(), ..Self::default() };
        let mut defaults = HashMap::<i32, Pairs>::new();
        let mut scene = String::new();
        for (line, number) in content.lines().zip(1..) {
            let at = format!("{name}.txt:{number}");
            if line.trim().is_empty() || line.starts_with('#') {
            } else if let Some(detail) = line.strip_prefix("  ") {
                match family.steps.last_mut().map(|step| &mut step.action) {
                    Some(Action::Ask(request) | Action::Reply(request)) => {
                        request.detail(detail.trim_start(), &at);
                    }
                    _ => panic!("{at}: a detail of no request"),
                }
            } else {
                family.line(line, &mut scene, &mut defaults, &at);
            }
        }
        family.check();
        family
    }

    /// How many requests it asks.
    pub fn requests(&self) -> usize {
        self.steps.iter().filter(|s| matches!(s.action, Action::Ask(_))).count()
    }

    fn line(
        &mut self,
        line: &str,
        scene: &mut String,
        defaults: &mut HashMap<i32, Pairs>,
        at: &str,
    ) {
        let mut words = text::words(line, at).into_iter();
        let mut next = || words.next().unwrap_or_else(|| panic!("{at}: too few words"));
        let code = |word: String| -> i32 {
            word.parse().unwrap_or_else(|e| panic!("{at}: code `{word}`: {e}"))
        };
        let named = |step: String| format!("{scene}/{step}");
        let (name, action) = match next().as_str() {
            // A few words for the life of the test: what brokers are started with is static.
            "setting" => return self.settings.extend(words.map(|word| &*word.leak())),
            "default" => {
                let code = code(next());
                defaults.insert(code, words.map(|w| text::pair(&w, at)).collect());
                return;
            }
            "scene" => return *scene = next(),
            "pause" => (String::new(), Action::Pause(code(next()).unsigned_abs().into())),
            "close" => (String::new(), Action::Close { server: next() }),
            "answer" => {
                let server = next();
                (named(next()), Action::Answer { server })
            }
            "hear" => {
                let server = next();
                (named(next()), Action::Hear { server, code: code(next()) })
            }
            "reply" => {
                let (server, code) = (next(), code(next()));
                let fields = words.map(|w| text::pair(&w, at)).collect();
                let reply = Request { server, code, fields, ..Request::default() };
                (String::new(), Action::Reply(reply))
            }
            server if server.starts_with("broker") || server.starts_with("namesrv") => {
                let (name, code) = (next(), code(next()));
                let mut fields = defaults.get(&code).cloned().unwrap_or_default();
                for word in words {
                    let (key, value) = text::pair(&word, at);
                    fields.retain(|(k, _)| *k != key);
                    if value != "-" {
                        fields.push((key, value));
                    }
                }
                let server = server.to_owned();
                (named(name), Action::Ask(Request { server, code, fields, ..Request::default() }))
            }
            other => panic!("{at}: `{other}` begins no line"),
        };
        self.steps.push(Step { name, action });
    }

    fn check(&self) {
        let mut names = std::collections::HashSet::new();
        for step in &self.steps {
            let named = matches!(step.action, Action::Ask(_) | Action::Hear { .. });
            assert!(!named || names.insert(&step.name), "{}: {} twice", self.name, step.name);
        }
    }
}

impl Request {
    fn detail(&mut self, line: &str, at: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "body" | "json" => self.body = Body::Text(text::unescape(rest, at)),
            "hex" => self.body = Body::Hex(rest.to_owned()),
            "size" => self.body = Body::Size(rest.parse().unwrap_or_else(|e| panic!("{at}: {e}"))),
            "message" => {
                let (body, properties) = rest.split_once('|').unwrap_or((rest, ""));
                let item = (body.to_owned(), text::properties(properties));
                match &mut self.body {
                    Body::Batch(items) => items.push(item),
                    other => *other = Body::Batch(vec![item]),
                }
            }
            "until" => self.until = Some(rest.parse().unwrap_or_else(|e| panic!("{at}: {e}"))),
            "save" => {
                let (name, field) = rest.split_once(' ').expect("save NAME field");
                self.saves.push((name.to_owned(), field.to_owned()));
            }
            "read" => self.read = Some(rest.to_owned()),
            "oneway" => self.one_way = true,
            "later" => self.later = true,
            "frame" => {
                self.frame = text::words(rest, at).iter().map(|w| text::pair(w, at)).collect()
            }
            "header" => self.header = Some(rest.to_owned()),
            other => panic!("{at}: unknown detail `{other}`"),
        }
    }
}
