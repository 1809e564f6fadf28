//! Bearer tokens: shown once, stored as a hash.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::Ids;

/// Kind of a token, which its first letters show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A friend's session: `fps_`.
    FriendSession,
    /// An agent: `fpa_`.
    Agent,
    /// The single-use code of a login link: `fpl_`.
    LoginCode,
}

/// A bearer token in clear text: never stored, logged or printed by `Debug`.
#[derive(Debug, Clone)]
pub struct Token(SecretString);

impl Token {
    /// Creates a token of 256 random bits.
    #[must_use]
    pub fn generate(kind: TokenKind, ids: &dyn Ids) -> Self {
        let prefix = match kind {
            TokenKind::FriendSession => "fps_",
            TokenKind::Agent => "fpa_",
            TokenKind::LoginCode => "fpl_",
        };
        Self(format!("{prefix}{}", hex::encode(ids.secret())).into())
    }

    /// Takes a token as it was presented; nothing about its form is checked.
    pub fn presented(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The token in clear text, to be handed to its owner once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns the hash, which is all that is stored of the token.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.reveal().as_bytes()).into())
    }
}

/// The SHA-256 of a token. A token has 256 random bits, so a plain hash cannot be guessed back, and looking it up by
/// equality tells an attacker nothing about the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash as 64 lower-case hexadecimal digits, as it is stored.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{Token, TokenKind};
    use crate::SeededIds;

    #[test]
    fn a_token_says_whose_it_is_and_carries_256_bits() {
        let token = Token::generate(TokenKind::FriendSession, &SeededIds::from_seed(1));
        assert_eq!((token.reveal().get(..4), token.reveal().len()), (Some("fps_"), 4 + 64));
    }

    #[test]
    fn nothing_prints_a_token() {
        let token = Token::presented("fps_secret");
        assert!(!format!("{token:?} {:?}", token.hash()).contains("secret"));
    }

    #[test]
    fn the_hash_is_sha_256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Token::presented("abc").hash().to_hex(), expected);
    }
}
