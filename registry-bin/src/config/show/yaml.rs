//! As a configuration file, with the source of each value beside it.

use super::{Item, Shown, Source, is_plain};

impl Shown {
    /// A file that means the same, secrets aside.
    pub(crate) fn yaml(&self) -> String {
        let mut text = Writer { file: &self.file, text: String::new() };
        for (name, item) in &self.root {
            text.entry(0, name, item);
        }
        text.text
    }
}

struct Writer<'s> {
    file: &'s str,
    text: String,
}

impl Writer<'_> {
    fn entry(&mut self, depth: usize, name: &str, item: &Item) {
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(&word(name, true));
        self.text.push(':');
        self.item(depth + 1, item);
    }

    /// What comes after `name:` or `-`.
    fn item(&mut self, depth: usize, item: &Item) {
        match item {
            Item::Leaf(leaf) => {
                self.text.push(' ');
                self.text.push_str(&word(&leaf.text, leaf.quoted));
                self.source(&leaf.source);
            }
            Item::Empty(source) => {
                self.text.push_str(" {}");
                self.source(source);
            }
            Item::List(items) if items.is_empty() => self.text.push_str(" []\n"),
            Item::Section(items) => {
                self.text.push('\n');
                for (name, item) in items {
                    self.entry(depth, name, item);
                }
            }
            Item::List(items) => {
                self.text.push('\n');
                for item in items {
                    self.text.push_str(&"  ".repeat(depth));
                    self.text.push('-');
                    self.item(depth + 1, item);
                }
            }
        }
    }

    fn source(&mut self, source: &Source) {
        self.text.push_str("  # ");
        self.text.extend(source.place(self.file).chars().map(|c| if c.is_control() { '?' } else { c }));
        self.text.push('\n');
    }
}

/// In quotes if it would be read as something else without them.
fn word(text: &str, quoted: bool) -> String {
    if is_plain(text, quoted) {
        return text.to_owned();
    }
    // The form of JSON is one of the forms of YAML, but for characters that only JSON has as they are.
    let mut quoted = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted
}
