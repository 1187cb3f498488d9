use super::*;
use crate::figure::{Curve, Curves, svg};

fn report() -> Report {
    let mut table = Table::new(["memory", "accuracy_mean"]);
    table.push(["<none> & \"co\"", "48.1"]).unwrap();
    table.push(["ip", "95.5"]).unwrap();
    let source =
        Source { file: "tables/accuracy.csv".into(), command: "ipnet reproduce --tier quick".into() };
    let curves = Curves {
        title: "Loss <b>".into(),
        series: vec![Curve::line("ip", [(0.0, 1.0), (1.0, 0.5)])],
        ..Curves::default()
    };
    Report {
        title: "IPNet <script>alert(1)</script>".into(),
        summary: vec!["A & B".into()],
        claims: vec![Claim {
            claim: "memory at the sensor is best".into(),
            paper: "order".into(),
            here: "95.5 +- 0.4 %".into(),
            data: "nmnist".into(),
            verdict: Verdict::DoesNotHold,
            source: source.clone(),
        }],
        sections: vec![Section {
            heading: "Accuracy".into(),
            blocks: vec![
                Block::Text("5 < 6".into()),
                Block::Table { caption: "Accuracy".into(), table, source: source.clone() },
                Block::Figure { caption: "Loss 'quoted'".into(), svg: svg(&curves).unwrap(), source },
            ],
        }],
        provenance: vec![("command".into(), "ipnet reproduce".into())],
    }
}

/// Checks that every element that is opened is closed, in order; gives the elements' names.
fn elements(html: &str) -> Vec<String> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let body = html.split_once("</style>").expect("a style").1;
    for tag in body.split('<').skip(1) {
        let tag = tag.split('>').next().expect("a tag ends");
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or("").to_owned();
        if tag.starts_with('/') {
            let last = open.pop();
            // The head was opened before the style.
            assert!(
                last.as_ref() == Some(&name) || ["head", "html"].contains(&name.as_str()),
                "</{name}> closes {last:?}"
            );
        } else if !tag.ends_with('/') && !tag.starts_with('!') {
            open.push(name.clone());
        }
        all.push(name);
    }
    assert!(open.is_empty(), "left open: {open:?}");
    all
}

#[test]
fn the_document_is_well_formed_and_its_text_escaped() {
    let html = report().to_html();
    let elements = elements(&html);
    assert!(!elements.iter().any(|name| name == "script" || name == "b" || name == "none"));
    assert!(html.contains("IPNet &lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(html.contains("&lt;none&gt; &amp; &quot;co&quot;") && html.contains("5 &lt; 6"));
}

#[test]
fn the_document_asks_nothing_of_a_network() {
    let html = report().to_html();
    for outside in ["src=", "@import", "url(", "<link", "<script"] {
        assert!(!html.contains(outside), "{outside}");
    }
    let addresses: Vec<&str> = html.match_indices("http").map(|(at, _)| &html[at..at + 26]).collect();
    assert!(addresses.iter().all(|a| *a == "http://www.w3.org/2000/svg"), "{addresses:?}");
}

#[test]
fn every_table_figure_and_claim_names_its_file_and_command() {
    let html = report().to_html();
    let source = "<code>tables/accuracy.csv</code> from <code>ipnet reproduce --tier quick</code>";
    assert_eq!(html.matches(source).count(), 3);
    assert!(html.contains("<td class=\"verdict does-not-hold\">does not hold</td>"));
}

#[test]
fn numbers_stand_to_the_right_and_names_do_not() {
    let html = report().to_html();
    assert!(html.contains("<td class=\"number\">95.5</td>") && html.contains("<td>ip</td>"));
}
