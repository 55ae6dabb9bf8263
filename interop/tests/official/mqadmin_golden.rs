//! The same command lines to Java's mqadmin and to Skua's, on a Java cluster and on a Skua cluster:
//! what they print is the same, times aside. A few usual lines are compared at each run, all of them
//! with `MQADMIN_ALL=1`. Which command works in which pairing is written to
//! `docs/mqadmin-matrix.md` (`UPDATE=1`).

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use skua_interop::golden::{
    COMMANDS, Difference, Line, NOT_RUN, Place, comparable, known_difference,
};
use skua_interop::{Admin, Kind, Told};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mqadmin-matrix.md");

/// How a command ended in one pairing, in one or two words.
fn ended(tool: &str, told: &Told) -> String {
    let text = format!("{}\n{}", told.out, told.err);
    let code = text.split("CODE: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let failed = match tool {
        "Skua" => told.status != 0,
        // Java's tool exits with 0 and prints the stack.
        _ => told.err.contains("\tat ") || told.out.contains("\tat "),
    };
    match (failed, code) {
        (false, _) => "works".to_owned(),
        (true, Some(code)) => format!("code {code}"),
        (true, None) if told.status == 2 => "not served".to_owned(),
        (true, None) => "fails".to_owned(),
    }
}

/// What one line did on one cluster.
struct Compared {
    /// Java's tool, then Skua's.
    ended: [String; 2],
    took: [Duration; 2],
    same: bool,
    /// Both outputs, for people.
    shown: String,
}

/// Runs `lines` by both tools on a cluster of this kind, one after another.
fn compare(kind: Kind, lines: &[&'static Line]) -> Vec<Compared> {
    let (mut java, mut skua) = (Admin::java(), Admin::Skua);
    let mut place = Place::start(kind);
    let compared = lines.iter().map(|line| {
        let arguments = place.arguments(line);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let [of_java, of_skua] = [&mut java, &mut skua].map(|admin| admin.run(&arguments));
        Compared {
            ended: [ended("Java", &of_java), ended("Skua", &of_skua)],
            took: [of_java.took, of_skua.took],
            same: comparable(line.text, &of_java.out) == comparable(line.text, &of_skua.out),
            shown: format!(
                "{} on {kind:?}\n--- Java\n{}{}\n--- Skua\n{}{}",
                arguments.join(" "),
                of_java.out,
                of_java.err.lines().take(12).collect::<Vec<_>>().join("\n"),
                of_skua.out,
                of_skua.err
            ),
        }
    });
    let compared = compared.collect();
    place.stop();
    compared
}

/// Every line with `MQADMIN_ALL=1` or `UPDATE=1`, which takes two minutes; else the usual ones.
#[test]
fn both_tools_print_the_same_on_both_clusters() {
    let is_set = |name| std::env::var_os(name).is_some();
    let all = is_set("MQADMIN_ALL") || is_set("UPDATE");
    let lines: Vec<&'static Line> = COMMANDS.iter().filter(|line| all || line.usual).collect();
    let begun = Instant::now();
    let (on_java, on_skua) = std::thread::scope(|scope| {
        let java = scope.spawn(|| compare(Kind::Java, &lines));
        let skua = compare(Kind::Skua, &lines);
        (java.join().expect("compared"), skua)
    });
    let both = || on_java.iter().chain(&on_skua);
    let sum = |tool: usize| both().map(|one| one.took[tool]).sum::<Duration>();
    eprintln!(
        "{} command lines on two clusters: Java {:?}, Skua {:?}, with the clusters {:?}",
        lines.len(),
        sum(0),
        sum(1),
        begun.elapsed()
    );
    let mut different = Vec::new();
    let mut rows = Vec::new();
    for ((line, on_java), on_skua) in lines.iter().zip(&on_java).zip(&on_skua) {
        for (compared, is_java) in [(on_java, true), (on_skua, false)] {
            if !compared.same && known_difference(line.text, is_java).is_none() {
                different.push(compared.shown.as_str());
            }
        }
        let cells = [on_java, on_skua].map(|one| one.ended.clone()).concat();
        rows.push((line.text, cells, on_java.same && on_skua.same));
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n=====\n"));
    if !all {
        return;
    }
    let page = page(&rows);
    if is_set("UPDATE") {
        std::fs::write(PAGE, &page).expect("the page can be written");
    }
    let found = std::fs::read_to_string(Path::new(PAGE)).unwrap_or_default();
    assert!(found == page, "docs/mqadmin-matrix.md is stale: run this test with UPDATE=1");
}

fn page(rows: &[(&'static str, Vec<String>, bool)]) -> String {
    let mut page = String::from(
        "# mqadmin: which command works with which server\n\n\
         Made by the interoperation test `mqadmin_golden` (`UPDATE=1` writes it): every line is run by Java's mqadmin 5.5.0 and by Skua's, on a Java name server and broker and on Skua's. Output is compared line by line, columns and values, without times, rates, ids and the order that a Java hash table gives.\n\n\
         `code N` is the server's refusal. `same` says that both tools printed the same on both clusters.\n\n\
         | command line | Java tool, Java server | Skua tool, Java server | Java tool, Skua server | Skua tool, Skua server | output |\n|---|---|---|---|---|---|\n",
    );
    for (text, cells, same) in rows {
        let [java_java, skua_java, java_skua, skua_skua] = &cells[..] else {
            unreachable!("two tools on two clusters")
        };
        let output = match (same, known_difference(text, true).or(known_difference(text, false))) {
            (true, _) => "same".to_owned(),
            (false, Some(Difference { why, .. })) => format!("differs: {why}"),
            (false, None) => "differs".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{text}` | {java_java} | {skua_java} | {java_skua} | {skua_skua} | {output} |"
        );
    }
    page.push_str("\nNot run side by side:\n\n| command | why |\n|---|---|\n");
    for (command, why) in NOT_RUN {
        let _ = writeln!(page, "| `{command}` | {why} |");
    }
    page
}
