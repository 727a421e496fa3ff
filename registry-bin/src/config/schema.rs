//! The shape of the known-key table: what a key holds and what becomes of it.
//!
//! The table itself is in [`table`]; it is the only place that lists configuration keys. Checking, suggestions
//! and environment variables all work from it.

mod table;

pub(crate) use table::ROOT;

/// A key that the configuration reference knows.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// Other spelling in environment variables, where the original's internal name differs.
    pub(crate) variable: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) status: Status,
}

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Text, taken as written whatever it looks like.
    Text,
    /// Any other single value: boolean, number or duration.
    Plain,
    /// A section with these keys.
    Section(&'static [Key]),
    /// A section that may be shortened to the name of one of its keys: `storage: inmemory`.
    Drivers(&'static [Key]),
    /// Not a key: an extra segment that environment variables may put before the keys of its section.
    Inline,
    /// A list.
    List(&'static Self),
    /// A section whose keys are the operator's own.
    Map(&'static Self),
    /// Anything at all.
    Any,
}

/// What this version does with a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Status {
    /// Read and obeyed.
    Supported,
    /// Obeyed, except for these values, which are known and refused.
    SupportedExcept(&'static [&'static str]),
    /// Obeyed, with a warning that says what to write instead.
    Deprecated(&'static str),
    /// Accepted without a word: whatever it says, it asks for what happens anyway.
    NoEffect,
    /// Meant something to an older version; ignored with a warning.
    Obsolete(&'static str),
    /// Was removed from the original as well; an error with this explanation.
    Gone(&'static str),
    /// Refused when it asks for something.
    Unsupported(Asks),
}

/// When an unsupported key asks for something that would not happen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asks {
    /// Whenever it is there.
    Always,
    /// When it holds anything but blanks.
    Filled,
    /// When it is true.
    True,
    /// When there is a list entry without `disabled: true`.
    Entries,
    /// Unless the section has `enabled: false`.
    UnlessOff,
    /// When one of these keys below it asks for something.
    Through(&'static [&'static str]),
}

/// The sentence for everything that works elsewhere and not here.
pub(crate) const UNSUPPORTED: &str =
    "known, but not supported yet by this version; remove it or keep using the registry that supports it";

/// Access control providers: their names are never forgiven in the wrong place.
pub(crate) const AUTH_PROVIDERS: [&str; 3] = ["silly", "htpasswd", "token"];

/// The key called `name` among `keys`.
pub(crate) fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name && !matches!(key.kind, Kind::Inline))
}

/// The reserved names in `storage`; all other keys there are drivers.
const STORAGE_SETTINGS: [&str; 5] = ["maintenance", "cache", "delete", "redirect", "tag"];

/// What a key of the `storage` section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageKey {
    Setting,
    Driver,
    Unknown,
}

/// Sorts the keys of the `storage` section.
pub(crate) fn storage_key(name: &str) -> StorageKey {
    if STORAGE_SETTINGS.contains(&name) {
        StorageKey::Setting
    } else if find(table::STORAGE, name).is_some() {
        StorageKey::Driver
    } else {
        StorageKey::Unknown
    }
}

const fn key(name: &'static str, kind: Kind, status: Status) -> Key {
    Key { name, variable: None, kind, status }
}

/// Supported text.
const fn text(name: &'static str) -> Key {
    key(name, Kind::Text, Status::Supported)
}

/// Supported boolean, number or duration.
const fn plain(name: &'static str) -> Key {
    key(name, Kind::Plain, Status::Supported)
}

/// Supported section.
const fn section(name: &'static str, keys: &'static [Key]) -> Key {
    key(name, Kind::Section(keys), Status::Supported)
}

/// Supported list of texts.
const fn texts(name: &'static str) -> Key {
    key(name, Kind::List(&Kind::Text), Status::Supported)
}

/// Known section that does nothing here.
const fn refused(name: &'static str, keys: &'static [Key], asks: Asks) -> Key {
    key(name, Kind::Section(keys), Status::Unsupported(asks))
}

/// Known value that does nothing here.
const fn refused_value(name: &'static str, kind: Kind, asks: Asks) -> Key {
    key(name, kind, Status::Unsupported(asks))
}

/// Known list of sections that does nothing here.
const fn refused_list(name: &'static str, item: &'static Kind, asks: Asks) -> Key {
    key(name, Kind::List(item), Status::Unsupported(asks))
}

/// Text inside a section that is refused or not as a whole.
const fn part(name: &'static str) -> Key {
    key(name, Kind::Text, Status::Unsupported(Asks::Filled))
}

/// Boolean, number or duration inside such a section.
const fn plain_part(name: &'static str) -> Key {
    key(name, Kind::Plain, Status::Unsupported(Asks::Filled))
}

impl Key {
    const fn or_variable(mut self, name: &'static str) -> Self {
        self.variable = Some(name);
        self
    }
}
