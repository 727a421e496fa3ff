//! Hashes of passwords: bcrypt.

use std::fmt;
use std::ops::Range;

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

/// The last character of a salt has bits that mean nothing, which some generators set and every reader ignores.
const SALT: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// The least cost that bcrypt knows.
pub(super) const LEAST_COST: u32 = 4;

/// The greatest cost that is verified: a minute of CPU. Each step more doubles it.
const GREATEST_COST: u32 = 20;

/// Why nobody can log in with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("not a bcrypt hash ($2a$, $2b$, $2y$); make one with htpasswd -B")]
    NotBcrypt,
    #[error("a bcrypt hash with a part missing or mistyped")]
    Broken,
    #[error("the cost is not from {LEAST_COST} to {GREATEST_COST}")]
    Cost,
    #[error("no name before the colon")]
    NoName,
    #[error("not UTF-8")]
    Utf8,
}

/// A bcrypt hash that can be verified.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hash {
    cost: u32,
    /// As the crate wants it: 60 characters, no spare bits.
    text: String,
}

impl Hash {
    /// Reads `$2y$10$…`. An entry may have further fields, each after a colon, which no reader of these files looks at.
    pub(super) fn parse(text: &str) -> Result<Self, Unusable> {
        let text = text.split_once(':').map_or(text, |(hash, _)| hash);
        let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| text.strip_prefix(prefix));
        let rest = rest.ok_or(Unusable::NotBcrypt)?;
        if text.len() != 60 || !text.is_ascii() {
            return Err(Unusable::Broken);
        }
        let (cost, rest) = rest.split_once('$').ok_or(Unusable::Broken)?;
        let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost: u32 = cost.parse().ok().filter(|_| digits).ok_or(Unusable::Broken)?;
        let (salt, digest) = rest.split_at_checked(22).ok_or(Unusable::Broken)?;
        let salt = SALT.encode(SALT.decode(salt).map_err(|_| Unusable::Broken)?);
        let text = format!("{}{cost:02}${salt}{digest}", &text[..4]);
        text.parse::<bcrypt::HashParts>().map_err(|_| Unusable::Broken)?;
        if !(LEAST_COST..=GREATEST_COST).contains(&cost) {
            return Err(Unusable::Cost);
        }
        Ok(Self { cost, text })
    }

    /// The costs that make up for what this hash is cheaper: 2^c + 2^c + 2^(c+1) + … + 2^(greatest-1) = 2^greatest.
    fn padding(&self, greatest: u32) -> Range<u32> {
        self.cost..greatest
    }

    /// The logarithm of the time that verifying takes.
    pub(super) fn cost(&self) -> u32 {
        self.cost
    }

    /// What tells this hash from any other.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Whether it is the hash of `password`, of which only the first 72 bytes count. Takes long; takes as long as a
    /// hash of `greatest` cost if not.
    pub(super) fn verify(&self, password: &str, greatest: u32) -> bool {
        let right = bcrypt::verify(password, &self.text).unwrap_or(false);
        if !right {
            self.padding(greatest).for_each(|cost| burn(password, cost));
        }
        right
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hash").field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// Takes as long as it takes to verify a hash of this cost.
pub(super) fn burn(password: &str, cost: u32) {
    let spent = bcrypt::hash_with_salt(password, cost.max(LEAST_COST), [0; 16]);
    // Or the compiler may find that nobody needs it.
    let _ = std::hint::black_box(spent);
}

/// A hash of `password` as Distribution makes it.
pub(super) fn make(password: &str) -> Result<String, bcrypt::BcryptError> {
    const COST: u32 = 10;
    Ok(bcrypt::hash_with_result(password, COST)?.format_for_version(bcrypt::Version::TwoA))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `password`, made by `crypt` of libxcrypt.
    const OTHERS: &str = "$2y$04$TnrKPT5AYmKuw9xzSdYFPOzCUVRRrZ0v0VDymfDz58rT4kf2ePE4S";

    fn verifies(hash: &str, password: &str) -> bool {
        Hash::parse(hash).unwrap().verify(password, 0)
    }

    #[test]
    fn the_three_prefixes_are_one_algorithm() {
        assert!(verifies(OTHERS, "password"));
        let hash = bcrypt::hash_with_salt("secret", 4, *b"0123456789abcdef").unwrap();
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
            let text = hash.format_for_version(version);
            assert!(verifies(&text, "secret"), "{text}");
            assert!(!verifies(&text, "Secret") && !verifies(&text, ""), "{text}");
        }
    }

    #[test]
    fn further_fields_are_passed_over() {
        assert!(verifies(&format!("{OTHERS}:"), "password"));
        assert!(verifies(&format!("{OTHERS}:someone's comment: more"), "password"));
        assert_eq!(Hash::parse(&format!("{OTHERS}x")), Err(Unusable::Broken));
    }

    #[test]
    fn spare_bits_of_a_salt_mean_nothing() {
        // The last character of the salt of sixteen zero bytes is `.`; `/` to `D` differ from it in spare bits alone.
        let text =
            bcrypt::hash_with_salt("secret", 4, [0; 16]).unwrap().format_for_version(bcrypt::Version::TwoY);
        assert_eq!(&text[28..29], ".");
        let spare = format!("{}A{}", &text[..28], &text[29..]);
        assert!(verifies(&spare, "secret"));
        assert_eq!(Hash::parse(&spare).unwrap(), Hash::parse(&text).unwrap());
    }

    #[test]
    fn only_the_first_72_bytes_of_a_password_count() {
        // Go's bcrypt, and so Distribution, cuts a password when it compares, and refuses to make a hash of one.
        let text = bcrypt::hash_with_salt("x".repeat(72), 4, [1; 16]).unwrap().to_string();
        assert!(verifies(&text, &"x".repeat(72)));
        assert!(verifies(&text, &format!("{}y", "x".repeat(72))));
        assert!(!verifies(&text, &"x".repeat(71)));
    }

    #[test]
    fn what_is_not_bcrypt_is_unusable() {
        for (text, why) in [
            ("", Unusable::NotBcrypt),
            ("secret", Unusable::NotBcrypt),
            ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", Unusable::NotBcrypt),
            ("$apr1$a$b", Unusable::NotBcrypt),
            ("$2x$04$TnrKPT5AYmKuw9xzSdYFPOzCUVRRrZ0v0VDymfDz58rT4kf2ePE4S", Unusable::NotBcrypt),
            ("$2$04$TnrKPT5AYmKuw9xzSdYFPOzCUVRRrZ0v0VDymfDz58rT4kf2ePE4S", Unusable::NotBcrypt),
            (&OTHERS[..59], Unusable::Broken),
            (&OTHERS.replace("$04$", "$+4$"), Unusable::Broken),
            (&OTHERS.replace("$04$", "$4a$"), Unusable::Broken),
            (&OTHERS.replace("Tnr", "T!r"), Unusable::Broken),
            (&OTHERS.replace("zCU", "z!U"), Unusable::Broken),
            (&OTHERS.replace("zCUV", "\u{e9}\u{e9}"), Unusable::Broken),
            (&OTHERS.replace("$04$", "$03$"), Unusable::Cost),
            (&OTHERS.replace("$04$", "$31$"), Unusable::Cost),
        ] {
            assert_eq!(Hash::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_wrong_password_costs_what_an_unknown_user_costs() {
        for cost in 4..=12 {
            let hash = Hash::parse(&OTHERS.replace("$04$", &format!("${cost:02}$"))).unwrap();
            let padding: u64 = hash.padding(12).map(|cost| 1 << cost).sum();
            assert_eq!((1 << hash.cost()) + padding, 1 << 12, "{cost}");
        }
    }

    #[test]
    fn a_hash_is_not_shown() {
        assert_eq!(format!("{:?}", Hash::parse(OTHERS).unwrap()), "Hash { cost: 4, .. }");
    }
}
