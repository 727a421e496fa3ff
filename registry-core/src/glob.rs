//! Patterns for names.

/// A pattern for a whole name: `*` stands for any text within a path component, even none, `**` for any
/// text across components, and everything else for itself.
///
/// Matching takes time proportional to the product of both lengths, whatever the pattern.
///
/// ```
/// use registry_core::Glob;
/// assert!(Glob::new("team/*").matches("team/app"));
/// assert!(!Glob::new("team/*").matches("team/app/debug"));
/// assert!(Glob::new("team/**").matches("team/app/debug"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Token {
    Byte(u8),
    Star,
    DoubleStar,
}

impl Glob {
    /// Reads a pattern; every text is one.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let mut tokens = Vec::with_capacity(text.len());
        for byte in text.bytes() {
            match (byte, tokens.last()) {
                (b'*', Some(Token::Star | Token::DoubleStar)) => {
                    tokens.pop();
                    tokens.push(Token::DoubleStar);
                }
                (b'*', _) => tokens.push(Token::Star),
                (byte, _) => tokens.push(Token::Byte(byte)),
            }
        }
        Self { text, tokens }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether all of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        self.advance(name, &mut reached);
        reached[name.len()]
    }

    /// Goes on with a match that other patterns began: `reached[i]` says whether what comes before this pattern
    /// can match the first `i` bytes of `name`, and afterwards whether it can with this pattern. It has one
    /// element more than `name` has bytes.
    pub fn advance(&self, name: &str, reached: &mut [bool]) {
        let name = name.as_bytes();
        for token in &self.tokens {
            match token {
                Token::Byte(byte) => {
                    for end in (1..=name.len()).rev() {
                        reached[end] = reached[end - 1] && name[end - 1] == *byte;
                    }
                    reached[0] = false;
                }
                Token::Star | Token::DoubleStar => {
                    for end in 1..=name.len() {
                        let extends = *token == Token::DoubleStar || name[end - 1] != b'/';
                        reached[end] |= reached[end - 1] && extends;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stays_within_a_component_and_two_do_not() {
        let cases = [
            ("team/app", "team/app", true),
            ("team/app", "team/app2", false),
            ("team/*", "team/app", true),
            ("team/*", "team/app/debug", false),
            ("team/*", "team", false),
            ("team/**", "team/app/debug", true),
            ("team/**", "teams/app", false),
            ("team/**", "team", false),
            ("**/app", "a/b/app", true),
            ("**/app", "app", false),
            ("*", "a", true),
            ("*", "a/b", false),
            ("**", "a/b/c", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdf", false),
            ("*-*", "a-b-c", true),
            ("release-*", "release-", true),
            ("release-*", "prerelease-1", false),
            ("v1.*", "v1x2", false),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Glob::new(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer() {
        let pattern = format!("{}b", "*a".repeat(200));
        assert!(!Glob::new(pattern).matches(&"a".repeat(255)));
    }
}
