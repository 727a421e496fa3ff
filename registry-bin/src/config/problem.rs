//! What is wrong with a configuration: collected over the whole document, reported one line each.

use std::cell::RefCell;
use std::collections::HashSet;

use super::node::Origin;

/// Whether a problem stops the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The registry does not start.
    Error,
    /// The registry starts and says so in its log.
    Warning,
}

/// One finding, tied to a place and usually to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) origin: Origin,
    /// Dotted key, empty when the finding is about the document.
    pub(crate) key: String,
    pub(crate) text: String,
}

impl Problem {
    /// `config.yml:4:3: http.addr: text`, or the variable's name in place of the position.
    pub(crate) fn line(&self, file: &str) -> String {
        let mut line = self.origin.place(file);
        if !self.key.is_empty() {
            line.push_str(": ");
            line.push_str(&self.key);
        }
        line.push_str(": ");
        line.push_str(&self.text);
        one_line(&line)
    }
}

/// Text with its control characters escaped: a key can be spelled with any character.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// Collector that every stage of loading writes into.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: RefCell<Vec<Problem>>,
    /// The keys that have an error.
    wrong: RefCell<HashSet<String>>,
}

impl Problems {
    pub(crate) fn push(&self, problem: Problem) {
        if problem.severity == Severity::Error {
            self.wrong.borrow_mut().insert(problem.key.clone());
        }
        self.list.borrow_mut().push(problem);
    }

    /// Records an error, unless the same key already has one: the first stage to object explains best.
    pub(crate) fn error(&self, origin: &Origin, key: &str, text: impl Into<String>) {
        if !self.wrong.borrow().contains(key) {
            self.add(Severity::Error, origin, key, text.into());
        }
    }

    pub(crate) fn warning(&self, origin: &Origin, key: &str, text: impl Into<String>) {
        self.add(Severity::Warning, origin, key, text.into());
    }

    fn add(&self, severity: Severity, origin: &Origin, key: &str, text: String) {
        self.push(Problem { severity, origin: origin.clone(), key: key.to_owned(), text });
    }

    /// True when an error is known for `section` or anything in it.
    pub(crate) fn has_error_in(&self, section: &str) -> bool {
        self.wrong.borrow().iter().any(|key| {
            key.strip_prefix(section)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('['))
        })
    }

    /// Errors and warnings, each in the order of the file, variables last.
    pub(crate) fn into_sorted(self) -> (Vec<Problem>, Vec<Problem>) {
        let mut list = self.list.into_inner();
        list.sort_by(|a, b| a.origin.cmp(&b.origin));
        list.into_iter().partition(|problem| problem.severity == Severity::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_place_the_key_and_the_text() {
        let at =
            |origin| Problem { severity: Severity::Error, origin, key: "a.b".into(), text: "bad".into() };
        assert_eq!(at(Origin::Document).line("f"), "f: a.b: bad");
        assert_eq!(at(Origin::File { line: 2, column: 3 }).line("f"), "f:2:3: a.b: bad");
        assert_eq!(at(Origin::Variable("REGISTRY_A_B".into())).line("f"), "REGISTRY_A_B: a.b: bad");
    }

    #[test]
    fn a_line_stays_one_line_whatever_the_key() {
        let problem = Problem {
            severity: Severity::Error,
            origin: Origin::File { line: 2, column: 3 },
            key: "a\nb\u{1b}[2J\u{85}é".into(),
            text: "bad\r".into(),
        };
        assert_eq!(problem.line("f"), "f:2:3: a\\nb\\u{1b}[2J\\u{85}é: bad\\r");
    }

    #[test]
    fn a_second_error_for_the_same_key_is_dropped_and_the_rest_sorted() {
        let problems = Problems::default();
        problems.error(&Origin::Variable("REGISTRY_B".into()), "b", "late");
        problems.error(&Origin::File { line: 9, column: 1 }, "a.x", "first");
        problems.error(&Origin::File { line: 9, column: 1 }, "a.x", "second");
        problems.warning(&Origin::Document, "", "careful");
        assert!(problems.has_error_in("a"));
        assert!(!problems.has_error_in("a.xy"));
        let (errors, warnings) = problems.into_sorted();
        assert_eq!(errors.iter().map(|p| p.text.as_str()).collect::<Vec<_>>(), ["first", "late"]);
        assert_eq!(warnings.len(), 1);
    }
}
