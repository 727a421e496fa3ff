//! The shape of the known-key table: what a key holds and what becomes of it.
//!
//! The table itself is in [`table`]; it is the only place that lists configuration keys. Checking, suggestions,
//! environment variables, `config show` and the JSON Schema all work from it.

pub(crate) mod json;
mod table;

pub(crate) use table::{POLICY_FILE, ROOT};

/// A key that the configuration reference knows.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// Other spelling in environment variables, where the original's internal name differs.
    pub(crate) variable: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) status: Status,
    /// What a missing key means, as it would be written in a file; `None` when it means that there is nothing.
    pub(crate) default: Option<&'static str>,
    /// Whether the value, or everything in it, is shown to nobody.
    pub(crate) secret: bool,
}

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Text, taken as written whatever it looks like.
    Text,
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// True or false.
    Flag,
    /// True or false, also as text: a section that the original leaves untyped.
    Switch,
    /// A whole number.
    Number,
    /// Time with a unit, or a number of nanoseconds.
    Duration,
    /// Bytes: a number with a unit, or a whole number of them.
    Size,
    /// A boolean, a number or a duration in a section that is refused: nobody has read it yet.
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

impl Kind {
    /// Whether it is a single value, of which it is known what it means.
    pub(crate) fn is_single(self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Word(_)
                | Self::Flag
                | Self::Switch
                | Self::Number
                | Self::Duration
                | Self::Size
                | Self::Plain
        )
    }
}

/// What this version does with a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Status {
    /// Read and obeyed.
    Supported,
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
    /// When it holds anything but blanks.
    Filled,
    /// When there is a list entry without `disabled: true`.
    Entries,
    /// When one of these keys below it asks for something.
    Through(&'static [&'static str]),
}

/// The sentence for everything that works elsewhere and not here.
pub(crate) const UNSUPPORTED: &str =
    "known, but not supported yet by this version; remove it or keep using the registry that supports it";

/// Access control providers: their names are never forgiven in the wrong place.
pub(crate) const AUTH_PROVIDERS: [&str; 4] = ["silly", "htpasswd", "token", "issuer"];

/// Whether a key of the `auth` section names a provider, of which there is one at most. The others go with any.
pub(crate) fn is_auth_provider(name: &str) -> bool {
    name == "none" || AUTH_PROVIDERS.contains(&name)
}

/// The key called `name` among `keys`.
pub(crate) fn find<'k>(keys: &'k [Key], name: &str) -> Option<&'k Key> {
    keys.iter().find(|key| key.name == name && !matches!(key.kind, Kind::Inline))
}

/// The reserved names in `storage`; all other keys there are drivers.
const STORAGE_SETTINGS: [&str; 6] = ["maintenance", "cache", "delete", "redirect", "tag", "replicas"];

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
    Key { name, variable: None, kind, status, default: None, secret: false }
}

/// Supported text.
const fn text(name: &'static str) -> Key {
    key(name, Kind::Text, Status::Supported)
}

/// Supported word out of a few.
const fn word(name: &'static str, words: &'static [&'static str]) -> Key {
    key(name, Kind::Word(words), Status::Supported)
}

/// Supported boolean.
const fn flag(name: &'static str) -> Key {
    key(name, Kind::Flag, Status::Supported)
}

/// Supported boolean, also as text.
const fn switch(name: &'static str) -> Key {
    key(name, Kind::Switch, Status::Supported)
}

/// Supported number.
const fn number(name: &'static str) -> Key {
    key(name, Kind::Number, Status::Supported)
}

/// Supported time.
const fn duration(name: &'static str) -> Key {
    key(name, Kind::Duration, Status::Supported)
}

/// Supported number of bytes.
const fn size(name: &'static str) -> Key {
    key(name, Kind::Size, Status::Supported)
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

    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}
