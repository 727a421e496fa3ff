//! As one JSON object: each key in full, with its value and its source.

use serde_json::{Map, Value, json};

use super::{Item, Shown};

impl Shown {
    /// `{"http.addr": {"source": "default", "value": ":5000"}, …}`
    pub(crate) fn json(&self) -> Value {
        let mut flat = Map::new();
        for (name, item) in &self.root {
            self.add(&mut flat, name, item);
        }
        flat.into()
    }

    fn add(&self, flat: &mut Map<String, Value>, path: &str, item: &Item) {
        let mut set = |value: Value, source: String| {
            flat.insert(path.to_owned(), json!({ "value": value, "source": source }));
        };
        match item {
            Item::Leaf(leaf) => set(leaf.value.clone(), leaf.source.place(&self.file)),
            Item::Empty(source) => set(json!({}), source.place(&self.file)),
            Item::Section(items) => {
                for (name, item) in items {
                    self.add(flat, &format!("{path}.{name}"), item);
                }
            }
            Item::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.add(flat, &format!("{path}[{index}]"), item);
                }
            }
        }
    }
}
