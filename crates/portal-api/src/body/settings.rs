//! Settings that friends change themselves.

use portal_core::{Change, ChannelId, Friend, FriendPatch, Invalid};
use portal_cron::Jobs;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::given;
use crate::error::ApiError;

/// The friend's settings.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settings)]
pub(crate) struct FriendSettings {
    /// IANA time zone in which a schedule without one is read; `null` for UTC.
    #[schema(example = "Europe/Berlin", required)]
    time_zone: Option<String>,
    /// The name that the friend chose; `null` if they chose none and are shown by their id.
    #[schema(example = "Alice", required)]
    display_name: Option<String>,
    /// The channel on which they would rather be written to.
    #[schema(example = "signal", required)]
    preferred_channel: Option<String>,
}

impl From<Friend> for FriendSettings {
    fn from(friend: Friend) -> Self {
        Self {
            time_zone: friend.time_zone,
            display_name: friend.display_name,
            preferred_channel: friend.preferred_channel.map(|channel| channel.to_string()),
        }
    }
}

/// Changes to the friend's settings; a member that is left out stays as it is, `null` empties it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatchSettings {
    /// Another time zone.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, example = "Europe/Berlin")]
    time_zone: Change<String>,
    /// Another name, up to 80 characters.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, example = "Alice")]
    display_name: Change<String>,
    /// Another channel: one that `GET /about` lists.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false, example = "signal")]
    preferred_channel: Change<String>,
}

impl PatchSettings {
    /// Returns the changes, by the time zones and channels that jobs know.
    ///
    /// # Errors
    /// Refuses a body without any change, an unknown time zone or channel, and a name that breaks its rule.
    pub(crate) fn parse(self, jobs: &Jobs) -> Result<FriendPatch, ApiError> {
        let patch = FriendPatch {
            display_name: self.display_name.parse(Friend::parse_display_name)?,
            preferred_channel: self.preferred_channel.parse(|channel| parse_channel(&channel, jobs.channels()))?,
            time_zone: self.time_zone.parse(|zone| parse_zone(zone, jobs))?,
        };
        if patch.members().is_empty() {
            let detail =
                "The body is not what this operation takes: give time_zone, display_name or preferred_channel.";
            return Err(ApiError::body_malformed(detail));
        }
        Ok(patch)
    }
}

fn parse_channel(text: &str, channels: &[ChannelId]) -> Result<ChannelId, Invalid> {
    channels.iter().find(|channel| channel.as_str() == text).cloned().ok_or_else(|| {
        let words: Vec<_> = channels.iter().map(ChannelId::as_str).collect();
        let listed = if words.is_empty() { "no channel is configured".to_owned() } else { words.join(", ") };
        Invalid::new("preferred_channel", format!("preferred_channel must be a configured channel: {listed}"))
            .with_rule("one-of", [("allowed", words.join(" "))])
    })
}

fn parse_zone(zone: String, jobs: &Jobs) -> Result<String, Invalid> {
    let unknown = |_| {
        let rule = "time_zone must be an IANA time zone such as Europe/Berlin";
        Invalid::new("time_zone", rule).with_rule("time-zone", [("example", "Europe/Berlin")])
    };
    jobs.check_time_zone(&zone).map_err(unknown)?;
    Ok(zone)
}
