//! `[limits]`.

use std::num::NonZeroU32;

use config::Config;
use portal_api::{DOCUMENT_BODY_MAX, LimitSettings, Rate};

use super::super::LimitsSettings;
use super::super::sections::LimitsSection;
use super::Check;

impl Check {
    pub(super) fn limits(&mut self, raw: &Config) -> Option<LimitsSettings> {
        let section: LimitsSection = self.section(raw, "limits")?;
        for (key, bytes) in [("body_bytes", section.body_bytes), ("all_body_bytes", section.all_body_bytes)] {
            if bytes < DOCUMENT_BODY_MAX {
                let rule = format!("must be at least {DOCUMENT_BODY_MAX}, the largest body that an operation takes");
                self.problem(format!("limits.{key}"), rule);
            }
        }
        let reads = self.rate("reads", section.reads_per_second, section.reads_burst);
        let writes = self.rate("writes", section.writes_per_second, section.writes_burst);
        let in_flight = self.positive("limits.in_flight", section.in_flight);
        let guesses_per_minute = self.positive("limits.guesses_per_minute", section.guesses_per_minute);
        let per_friend = LimitSettings {
            reads: reads?,
            writes: writes?,
            in_flight: in_flight?,
            body_bytes: section.body_bytes,
            all_body_bytes: section.all_body_bytes,
            guesses_per_minute: guesses_per_minute?,
            ..LimitSettings::default()
        };
        let connections_per_address = NonZeroU32::new(section.connections_per_address);
        Some(LimitsSettings { per_friend: section.enabled.then_some(per_friend), connections_per_address })
    }

    fn rate(&mut self, name: &str, per_second: u32, burst: u32) -> Option<Rate> {
        let per_second = self.positive(&format!("limits.{name}_per_second"), per_second);
        let burst = self.positive(&format!("limits.{name}_burst"), burst);
        Some(Rate { per_second: per_second?, burst: burst? })
    }

    fn positive(&mut self, key: &str, number: u32) -> Option<NonZeroU32> {
        let positive = NonZeroU32::new(number);
        if positive.is_none() {
            self.problem(key, "must be at least 1");
        }
        positive
    }
}
