//! The command lines of the comparison, what is masked in their output, and where the tools differ
//! on purpose.

mod place;

pub use place::Place;

/// `@NS@`, `@BROKER@`, `@NAME@`, `@ID@`, `@OFFSETID@`, `@CLIENT@` are filled in; `-n` is added.
pub struct Line {
    pub text: &'static str,
    /// Among the few that every run of the tests compares.
    pub usual: bool,
}

impl Line {
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.text.split(' ')
    }
}

const fn line(text: &'static str) -> Line {
    Line { text, usual: false }
}

const fn usual(text: &'static str) -> Line {
    Line { text, usual: true }
}

pub const COMMANDS: &[Line] = &[
    // Looking.
    usual("clusterList"),
    line("clusterList -m"),
    line("clusterList -c DefaultCluster"),
    usual("topicList"),
    line("topicList -c"),
    usual("topicRoute -t TopicA"),
    line("topicRoute -t TopicA -l"),
    usual("topicStatus -t TopicA"),
    line("topicClusterList -t TopicA"),
    usual("brokerStatus -b @BROKER@"),
    line("brokerStatus -c DefaultCluster"),
    usual("getBrokerConfig -b @BROKER@"),
    line("getNamesrvConfig"),
    usual("consumerProgress -g CG"),
    line("consumerProgress"),
    usual("consumerConnection -g CG"),
    line("consumerConnection -g CG -b @BROKER@"),
    usual("producerConnection -g PG -t TopicA"),
    line("producer -b @BROKER@"),
    line("consumerStatus -g CG -i @CLIENT@"),
    usual("brokerConsumeStats -b @BROKER@"),
    line("statsAll -t TopicA"),
    usual("haStatus -b @BROKER@"),
    line("queryCq -t TopicA -q 1 -i 0 -c 3 -b @BROKER@"),
    line("allocateMQ -t TopicA -i 10.0.0.1,10.0.0.2"),
    // Messages.
    line("queryMsgByOffset -t TopicA -b @NAME@ -i 1 -o 0"),
    usual("queryMsgById -t TopicA -i @OFFSETID@"),
    usual("queryMsgByUniqueKey -t TopicLive -i @ID@"),
    line("queryMsgByKey -t TopicA -k nothing"),
    line("printMsg -t TopicA -d true"),
    usual("printMsgByQueue -t TopicA -a @NAME@ -i 2 -p true -d true"),
    line("printMsgByQueue -t TopicA -a @NAME@ -i 2 -f true"),
    line("consumeMessage -t TopicA -b @NAME@ -i 3 -c 2"),
    usual("sendMessage -t TopicLive -p hello -b @NAME@ -i 1"),
    line("checkMsgSendRT -t TopicLive -a 2 -s 10"),
    line("sendMsgStatus -b @NAME@ -s 10 -c 1"),
    // Topics and groups changed.
    line("updateTopic -b @BROKER@ -t Made -r 2 -w 2"),
    usual("updateTopic -c DefaultCluster -t Made -r 3 -w 3 -p 6"),
    line("updateTopic -b @BROKER@ -t Attributed -a +message.type=DELAY"),
    line("updateTopic -c DefaultCluster -t Ordered -r 2 -w 2 -o true"),
    line("updateTopicPerm -b @BROKER@ -t Made -p 6"),
    usual("updateSubGroup -b @BROKER@ -g Group"),
    line("updateSubGroup -c DefaultCluster -g Group -r 5 -q 2 -s true -m true -d false"),
    line("getConsumerConfig -g Group"),
    line("setConsumeMode -b @BROKER@ -t TopicA -g Group -m PULL"),
    line("updateOrderConf -t Ordered -m get"),
    line("updateOrderConf -t Ordered -m put -v @NAME@:2"),
    line("updateOrderConf -t Ordered -m delete"),
    line("updateKvConfig -s SPACE -k key -v value"),
    line("deleteKvConfig -s SPACE -k key"),
    usual("resetOffsetByTime -g CG -t TopicLive -s now"),
    line("skipAccumulatedMessage -g CG -t TopicLive"),
    line("cloneGroupOffset -s CG -d Group -t TopicLive"),
    // The broker and the name server.
    usual("updateBrokerConfig -b @BROKER@ -k fileReservedTime -v 48"),
    line("updateBrokerConfig -c DefaultCluster -k fileReservedTime -v 72"),
    line("updateNamesrvConfig -k orderMessageEnable -v true"),
    line("wipeWritePerm -b @NAME@"),
    line("addWritePerm -b @NAME@"),
    line("cleanExpiredCQ -b @BROKER@"),
    line("cleanUnusedTopic -b @BROKER@"),
    line("deleteExpiredCommitLog -b @BROKER@"),
    line("resetMasterFlushOffset -b @BROKER@ -o 0"),
    line("getColdDataFlowCtrInfo -b @BROKER@"),
    line("updateColdDataFlowCtrGroupConfig -b @BROKER@ -g CG -v 4096"),
    line("removeColdDataFlowCtrGroupConfig -b @BROKER@ -g CG"),
    line("setCommitLogReadAheadMode -b @BROKER@ -m 1"),
    line("exportPopRecord -b @BROKER@ -d true"),
    line("switchTimerEngine -b @BROKER@ -e F"),
    // What fails at either.
    line("topicRoute -t NoSuchTopic"),
    line("topicStatus -t NoSuchTopic"),
    line("consumerConnection -g NoSuchGroup"),
    line("consumerProgress -g NoSuchGroup"),
    line("queryMsgByUniqueKey -t TopicA -i 7F000001000000000000000000000001"),
    line("updateTopic -c NoSuchCluster -t X"),
    line("updateBrokerConfig -b @BROKER@ -k brokerConfigPath -v /x"),
    // Users and access control, stored whether they are asked for or not.
    line("createUser -b @BROKER@ -u alice -p secret12"),
    line("getUser -b @BROKER@ -u alice"),
    line("listUser -b @BROKER@"),
    line("updateUser -b @BROKER@ -u alice -p secret34"),
    line("createAcl -b @BROKER@ -s User:alice -r Topic:TopicA -a Pub -d Allow"),
    line("getAcl -b @BROKER@ -s User:alice"),
    line("listAcl -b @BROKER@"),
    line("deleteAcl -b @BROKER@ -s User:alice"),
    line("deleteUser -b @BROKER@ -u alice"),
    // Replication by a controller, lite topics.
    line("getBrokerEpoch -c DefaultCluster"),
    line("updateTopic -b @BROKER@ -t Parent -a +message.type=LITE,+lite.topic.expiration=60"),
    line("updateSubGroup -b @BROKER@ -g LiteGroup --attributes +lite.bind.topic=Parent"),
    line("getBrokerLiteInfo -b @BROKER@ -d"),
    line("getParentTopicInfo -p TopicA"),
    line("getParentTopicInfo -p Parent"),
    line("getLiteTopicInfo -p Parent -l one -s"),
    line("getLiteClientInfo -p Parent -g LiteGroup -c nobody -s"),
    line("getLiteGroupInfo -p Parent -g LiteGroup -k 5"),
    line("getLiteGroupInfo -p Parent -g LiteGroup -l one"),
    line("triggerLiteDispatch -p Parent -g LiteGroup"),
    // Deleted.
    line("deleteSubGroup -b @BROKER@ -g Group"),
    usual("deleteTopic -c DefaultCluster -t Made"),
];

/// Commands that the comparison leaves out.
pub const NOT_RUN: &[(&str, &str)] = &[
    ("updateTopicList, updateSubGroupList", "take a file; compared by the tests of `crates/admin`"),
    ("addBroker, removeBroker", "speak to a broker container, of which neither cluster has one"),
    ("queryMsgTraceById", "needs a client that traces; see the test `trace`"),
    ("clusterRT, startMonitoring", "go on until they are stopped"),
    ("exportMetadata, exportConfigs, exportMetrics", "write files below /tmp"),
    (
        "getSyncStateSet, getControllerMetaData, getControllerConfig, updateControllerConfig, electMaster, cleanBrokerMetadata",
        "speak to a controller",
    ),
    ("copyUser, copyAcl", "need two brokers with users"),
    ("updateStaticTopic, remappingStaticTopic", "see the test `static_topics`"),
    (
        "exportMetadataInRocksDB, rocksDBConfigToJson, checkRocksdbCqWriteProgress",
        "for RocksDB, which Skua does not have",
    ),
    ("dumpCompactionLog", "reads a file of the machine"),
];

/// Where the two tools print other things on purpose.
pub struct Difference {
    /// The beginning of the command line.
    pub of: &'static str,
    /// `None`: on both clusters.
    pub on_java: Option<bool>,
    pub why: &'static str,
}

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        of: "createUser",
        on_java: Some(false),
        why: "the user is there: the other tool has just made it",
    },
    Difference {
        of: "deleteAcl",
        on_java: Some(false),
        why: "the rules are gone: the other tool has just deleted them",
    },
    Difference { of: "exportPopRecord", on_java: None, why: "Java reads `-d true` as no dry run" },
    Difference {
        of: "updateTopic -c NoSuchCluster",
        on_java: None,
        why: "Java prints the topic as if it had been made",
    },
    Difference {
        of: "getBrokerLiteInfo",
        on_java: None,
        why: "Java prints topics and groups as JSON, Skua as its other maps",
    },
    Difference {
        of: "getLiteClientInfo",
        on_java: None,
        why: "Skua prints the empty list of an unknown client",
    },
    Difference {
        of: "getLiteGroupInfo",
        on_java: None,
        why: "where nothing lags, Java prints the present as the oldest message's time",
    },
    Difference {
        of: "getParentTopicInfo -p TopicA",
        on_java: None,
        why: "a broker's refusal is told with its cause on the error output",
    },
];

/// Commands whose numbers are of the moment.
const OF_THE_MOMENT: [&str; 6] =
    ["checkMsgSendRT", "sendMsgStatus", "sendMessage", "brokerStatus", "clusterList", "statsAll"];

/// Columns and values, each line by itself, without what is another at each call and without an
/// order of lines.
pub fn comparable(command: &str, text: &str) -> Vec<String> {
    let moment = command.split(' ').next().is_some_and(|name| OF_THE_MOMENT.contains(&name));
    let mut lines: Vec<String> = text
        .lines()
        .map(mask)
        .map(|line| if moment { without_numbers(&line) } else { line })
        .filter(|line| !line.is_empty())
        .collect();
    lines.sort();
    lines
}

fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    for letter in line.chars() {
        match letter {
            '0'..='9' if out.ends_with('N') => {}
            '0'..='9' => out.push('N'),
            letter => out.push(letter),
        }
    }
    // Numbers of bytes change their unit.
    let bytes = [" KiB", " MiB", " GiB", " TiB"];
    bytes.iter().fold(out.replace("RATE", "N"), |out, unit| out.replace(unit, " B"))
}

pub fn known_difference(text: &str, on_java: bool) -> Option<&'static Difference> {
    DIFFERENCES.iter().find(|difference| {
        let here = difference.on_java.is_none_or(|only| only == on_java);
        here && text.starts_with(difference.of)
    })
}

/// A line without blanks at its ends, with one blank between words, and with marks in place of
/// moments, rates, ids and process numbers.
fn mask(line: &str) -> String {
    let line = line.trim_end().trim_end_matches(',');
    let is_map = line.contains('{');
    let spread = if is_map { line.replace(['{', '}', ','], " ") } else { line.to_owned() };
    let mut words: Vec<String> = spread.split_whitespace().map(mask_word).collect();
    // A Java map has no order of its own.
    if is_map {
        // Java's client adds these to what it pulls.
        words.retain(|word| !word.starts_with("MIN_OFFSET=") && !word.starts_with("MAX_OFFSET="));
        words.sort();
    }
    words.join(" ")
}

fn mask_word(word: &str) -> String {
    // Runs of letters, digits and points, each masked as a whole.
    let mut out = String::new();
    let mut rest = word;
    while !rest.is_empty() {
        let token =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
        if token == 0 {
            let letter = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..letter]);
            rest = &rest[letter..];
            continue;
        }
        out.push_str(&mask_token(&rest[..token]));
        rest = &rest[token..];
    }
    out
}

fn mask_token(token: &str) -> String {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    let points = token.bytes().filter(|byte| *byte == b'.').count();
    let plain = token.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain && points == 1 && digits > 1 {
        return "RATE".to_owned();
    }
    if plain && points == 0 && (digits == 13 || digits == 14 || digits == 17) {
        return "TIME".to_owned();
    }
    let hex = token.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex && token.len() == 32 {
        return "ID".to_owned();
    }
    token.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_the_moment_may_change_its_number_and_unit_and_nothing_else() {
        let same = |a, b| comparable("brokerStatus -b x", a) == comparable("brokerStatus -b x", b);
        assert!(same("remainHowManyDataToFlush : 3.5 KiB", "remainHowManyDataToFlush : 0 B"));
        assert!(!same("remainHowManyDataToFlush : 3.5 KiB", "remainHowMany : 3.5 KiB"));
        assert!(comparable("topicList", "a 1 KiB") != comparable("topicList", "a 2 B"));
    }
}
