//! A gateway and the portal's credentials there.

use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

use super::device::DeviceKey;

/// A gateway and the portal's credentials there.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// `ws` or `wss`.
    pub url: Url,
    /// The gateway's `gateway.auth.token`.
    pub token: SecretString,
    /// The portal's device; without one only some gateways grant rights.
    pub device_key: Option<Arc<DeviceKey>>,
}
