//! JUnit's XML against its schema, `tests/data/junit.xsd`: as much of XML Schema as that one uses.

use roxmltree::{Document, Node};

const SCHEMA: &str = include_str!("../data/junit.xsd");

/// Where a document is not valid, a line each.
pub(super) fn errors(xml: &str) -> Vec<String> {
    let schema = Document::parse(SCHEMA).unwrap();
    let document = match Document::parse(xml) {
        Ok(document) => document,
        Err(error) => return vec![error.to_string()],
    };
    let root = document.root_element();
    let declared = elements(schema.root_element()).find(|node| name(*node) == root.tag_name().name());
    let Some(declared) = declared else { return vec![format!("no root {}", root.tag_name().name())] };
    let own = elements(declared).find(|node| node.tag_name().name() == "complexType").unwrap();
    let mut errors = Vec::new();
    check(root, own, &mut errors);
    errors
}

fn elements<'a, 'b>(node: Node<'a, 'b>) -> impl Iterator<Item = Node<'a, 'b>> {
    node.children().filter(Node::is_element)
}

fn name<'a>(node: Node<'a, '_>) -> &'a str {
    node.attribute("name").unwrap()
}

/// The type of a name in the schema.
fn named<'a, 'b>(schema: Node<'a, 'b>, wanted: &str) -> Node<'a, 'b> {
    elements(schema.document().root_element()).find(|node| name(*node) == wanted).unwrap()
}

fn check(node: Node<'_, '_>, declared: Node<'_, '_>, errors: &mut Vec<String>) {
    let tag = node.tag_name().name();
    let attributes: Vec<_> = elements(declared).filter(|part| part.tag_name().name() == "attribute").collect();
    for own in node.attributes() {
        match attributes.iter().find(|known| name(**known) == own.name()) {
            None => errors.push(format!("{tag} has the attribute {}", own.name())),
            Some(known) if !is_valid(own.value(), *known) => {
                errors.push(format!("{tag}: {}: {}", own.name(), own.value()));
            }
            Some(_) => {}
        }
    }
    let is_required = |known: &&Node<'_, '_>| known.attribute("use") == Some("required");
    let missing = attributes.iter().filter(is_required).filter(|known| node.attribute(name(**known)).is_none());
    errors.extend(missing.map(|known| format!("{tag} lacks the attribute {}", name(*known))));
    if node.children().any(|child| child.is_text() && !child.text().unwrap_or("").trim().is_empty()) {
        errors.push(format!("{tag} has text"));
    }
    let groups = ["sequence", "choice"];
    let group = elements(declared).find(|part| groups.contains(&part.tag_name().name()));
    let parts: Vec<_> = group.into_iter().flat_map(elements).collect();
    let most = |part: Node<'_, '_>| if part.attribute("maxOccurs") == Some("unbounded") { usize::MAX } else { 1 };
    let is_choice = group.is_some_and(|group| group.tag_name().name() == "choice");
    let (mut place, mut count) = (0, 0);
    for child in elements(node) {
        let found = parts.iter().position(|part| name(*part) == child.tag_name().name());
        let Some(found) = found else {
            errors.push(format!("{tag} has {}", child.tag_name().name()));
            continue;
        };
        count = if found == place { count + 1 } else { 1 };
        // One of a choice, or parts in their order.
        if count > most(parts[found]) || found < place || (is_choice && elements(node).count() > 1) {
            errors.push(format!("{tag}: {} is too much or too late", name(parts[found])));
        }
        place = found;
        check(child, named(declared, parts[found].attribute("type").unwrap()), errors);
    }
}

/// Whether a value is of the type of an attribute.
fn is_valid(value: &str, attribute: Node<'_, '_>) -> bool {
    match attribute.attribute("type").unwrap() {
        "xs:string" => true,
        "xs:nonNegativeInteger" => value.parse::<u64>().is_ok(),
        "seconds" => {
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            value.split_once('.').is_some_and(|(whole, part)| digits(whole) && digits(part) && part.len() == 3)
        }
        other => panic!("the schema has a type {other}"),
    }
}

#[test]
fn what_is_not_valid_is_found() {
    let suites = |inner: &str| {
        format!("<testsuites name='a' tests='1' failures='0' errors='0' time='1.500'>{inner}</testsuites>")
    };
    let suite = |inner: &str| {
        suites(&format!(
            "<testsuite name='b' tests='1' failures='0' errors='0' skipped='0' time='0.000'>{inner}</testsuite>"
        ))
    };
    let case = "<testcase classname='c' name='d' time='0.100'><failure type='t' message='m'/></testcase>";
    assert_eq!(errors(&suite(case)), <[String; 0]>::default());
    for (wrong, expected) in [
        (suites("<testcase/>"), "testsuites has testcase"),
        (suite(&case.replace("time='0.100'", "")), "testcase lacks the attribute time"),
        (suite(&case.replace("0.100", "fast")), "testcase: time: fast"),
        (suite(&format!("{case}<properties/>")), "testsuite: properties is too much or too late"),
        (
            suite(&case.replace("</testcase>", "<skipped message='m'/></testcase>")),
            "testcase: failure is too much or too late",
        ),
        (suite("text"), "testsuite has text"),
        (suite(&case.replace("classname", "class")), "testcase has the attribute class"),
        ("<testsuites".to_owned(), "the document does not have a root node"),
    ] {
        assert_eq!(errors(&wrong).first().map(String::as_str), Some(expected), "{wrong}");
    }
}
