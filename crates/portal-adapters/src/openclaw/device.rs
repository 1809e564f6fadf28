//! The portal's identity as a device of a gateway: an Ed25519 key that the operator of the gateway approves once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portal_core::Invalid;
use rand::RngCore;
use ring::signature::{Ed25519KeyPair, KeyPair};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Beginning of a key's text, so that nobody takes it for another secret.
const PREFIX: &str = "fpd_";
/// Bytes of a key's seed.
const SEED: usize = 32;

/// A device's key.
#[derive(Debug)]
pub struct DeviceKey(Ed25519KeyPair);

impl DeviceKey {
    /// Makes the text of a new key, a secret.
    #[must_use]
    pub fn generate() -> SecretString {
        let mut seed = [0; SEED];
        rand::rng().fill_bytes(&mut seed);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(seed)).into()
    }

    /// Reads a key from its text.
    ///
    /// # Errors
    /// Refuses what [`DeviceKey::generate`] does not make.
    pub fn parse(text: &SecretString) -> Result<Self, Invalid> {
        let encoded = text.expose_secret().strip_prefix(PREFIX);
        let seed = encoded.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let key = seed.and_then(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).ok());
        key.map(Self)
            .ok_or_else(|| Invalid::new("device_key_file", "must hold a key that `portal-admin agent device-key` made"))
    }

    /// Returns the device's id, by which the gateway's operator knows it.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(Sha256::digest(self.0.public_key().as_ref()))
    }

    pub(super) fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref())
    }

    pub(super) fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.0.sign(text.as_bytes()).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::DeviceKey;

    #[test]
    fn a_key_is_read_back_and_is_of_one_device() {
        let text = DeviceKey::generate();
        let (first, again) = (DeviceKey::parse(&text).unwrap(), DeviceKey::parse(&text).unwrap());
        assert_eq!(
            (first.id(), first.public_key(), first.sign("x")),
            (again.id(), again.public_key(), again.sign("x"))
        );
        assert_ne!(DeviceKey::parse(&DeviceKey::generate()).unwrap().id(), first.id());
        assert!(!format!("{first:?}").contains(&text.expose_secret()["fpd_".len()..]));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for text in ["", "fpd_", "fpd_AAAA", "fpd_not base 64", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"] {
            let refused = DeviceKey::parse(&text.to_owned().into()).unwrap_err();
            assert!(refused.message.contains("device-key"), "{text}");
        }
    }

    #[test]
    fn id_and_key_are_what_a_gateway_computes() {
        // Seed 00 01 .. 1f; the expected values are Node's: createPrivateKey, sign(null, ..), createHash("sha256").
        let key = DeviceKey::parse(&"fpd_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".to_owned().into()).unwrap();
        assert_eq!(key.public_key(), "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg");
        assert_eq!(key.id(), "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c");
        assert_eq!(
            key.sign("v3|x"),
            "0wiFDWAJQZ4kz-CUR_fA5B2Yqv5OMJOvP_WElNtkkj8IBoOvrfy1c1405weu6Ad4aiULgb81c9wnNVC775pzCw"
        );
    }
}
