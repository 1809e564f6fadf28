//! What a job is, and what somebody may ask one to be.

use chrono::{DateTime, Utc};
use portal_core::{FriendshipKey, Invalid};

use crate::session_key::DEFAULT_SESSION;
use crate::{RunStatus, Schedule};

/// Longest name, in bytes.
const NAME_MAX: usize = 64;
/// Longest message, in bytes.
const MESSAGE_MAX: usize = 8 * 1024;
/// Longest description, in bytes.
const DESCRIPTION_MAX: usize = 512;
/// Longest time that an agent may be asked to work on one message, in seconds.
const TIMEOUT_MAX: u16 = 3600;

/// The name of a job, unique among those of its owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobName(String);

portal_core::string_newtype!(JobName);

impl JobName {
    /// Reads a name.
    ///
    /// # Errors
    /// Refuses what `^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?$` does not match.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b" ._-".contains(&byte);
        let edge = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
        let edges_are_plain = edge(text.chars().next()) && edge(text.chars().next_back());
        if text.len() <= NAME_MAX && edges_are_plain && text.bytes().all(inner) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "name",
            "name must be 1 to 64 letters (A-Z, a-z), digits, spaces, dots, underscores or hyphens, and begin and end with a letter or digit",
        ))
    }
}

portal_core::word_enum! {
    /// How hard an agent should think about a message, for engines that can say so.
    pub enum Thinking: "thinking" {
        /// Not at all.
        Off = "off",
        /// A little.
        Low = "low",
        /// Somewhat.
        Medium = "medium",
        /// Hard.
        High = "high",
    }
}

/// What a job does: once parsed, every rule about its parts holds. Whose session it names is decided by
/// [`crate::SessionKeys`], anew for every delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// Its name.
    pub name: JobName,
    /// What it is for, in the friend's words.
    pub description: Option<String>,
    /// What the agent is told.
    pub message: String,
    /// When.
    pub schedule: Schedule,
    /// The conversation in which the agent is told, as it was typed; `isolated` if none was given.
    pub session: String,
    /// How hard the agent should think.
    pub thinking: Option<Thinking>,
    /// How long the agent may take, in seconds, from 1 to 3600.
    pub timeout_seconds: Option<u16>,
}

/// What somebody asks a job to be, not yet parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobDraft {
    /// Its name.
    pub name: String,
    /// What the agent is to be told.
    pub message: String,
    /// When, as an expression of cron.
    pub cron: String,
    /// In which conversation; `None` for the default one.
    pub session: Option<String>,
    /// The IANA time zone of `cron`; `None` for the friend's own, else UTC.
    pub tz: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// How hard the agent should think.
    pub thinking: Option<String>,
    /// How long the agent may take, in seconds.
    pub timeout_seconds: Option<i64>,
}

impl JobDraft {
    /// Reads the draft as somebody proposes it at `now`, whose schedules are in `own_tz` unless they say otherwise.
    ///
    /// # Errors
    /// Refuses the first part whose rule is not kept, naming it.
    pub fn parse(self, own_tz: &str, now: DateTime<Utc>) -> Result<JobSpec, Invalid> {
        Ok(JobSpec {
            name: JobName::parse(&self.name)?,
            message: parse_message(self.message)?,
            schedule: Schedule::propose(&self.cron, self.tz.as_deref().unwrap_or(own_tz), now)?,
            session: self.session.unwrap_or_else(|| DEFAULT_SESSION.to_owned()),
            description: parse_description(self.description)?,
            thinking: self.thinking.as_deref().map(Thinking::parse).transpose()?,
            timeout_seconds: self.timeout_seconds.map(parse_timeout).transpose()?,
        })
    }
}

fn parse_message(message: String) -> Result<String, Invalid> {
    if message.len() > MESSAGE_MAX || message.trim().is_empty() || message.contains('\0') {
        return Err(Invalid::new(
            "message",
            format!("message must be 1 to {MESSAGE_MAX} bytes of text and not blank, but it has {}", message.len()),
        ));
    }
    Ok(message)
}

fn parse_description(description: Option<String>) -> Result<Option<String>, Invalid> {
    let description = description.filter(|text| !text.is_empty());
    if description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_MAX || text.contains('\0')) {
        return Err(Invalid::new(
            "description",
            format!("description must be at most {DESCRIPTION_MAX} bytes of text"),
        ));
    }
    Ok(description)
}

fn parse_timeout(seconds: i64) -> Result<u16, Invalid> {
    u16::try_from(seconds).ok().filter(|seconds| (1..=TIMEOUT_MAX).contains(seconds)).ok_or_else(|| {
        Invalid::new("timeoutSeconds", format!("timeoutSeconds must be 1 to {TIMEOUT_MAX}, not {seconds}"))
    })
}

/// A job as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub owner: FriendshipKey,
    /// What it does.
    pub spec: JobSpec,
    /// Whether its schedule counts.
    pub enabled: bool,
    /// Since when there is this job.
    pub created_at: DateTime<Utc>,
    /// How it stands.
    pub state: JobState,
}

/// How a job stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobState {
    /// The instant it is due next; `None` while it is disabled.
    pub next_run: Option<DateTime<Utc>>,
    /// When its newest run began.
    pub last_run: Option<DateTime<Utc>>,
    /// How the newest run that has ended did so: [`RunStatus::Delivered`], [`RunStatus::Failed`] or
    /// [`RunStatus::Missed`].
    pub last_status: Option<RunStatus>,
    /// How many runs have failed since one was delivered.
    pub consecutive_errors: u32,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{JobDraft, JobName};

    fn draft() -> JobDraft {
        JobDraft { name: "daily".into(), message: "Hello".into(), cron: "0 9 * * *".into(), ..JobDraft::default() }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut JobDraft), refused: Option<&str>) {
        let mut draft = draft();
        change(&mut draft);
        let parsed = draft.parse("Europe/Berlin", DateTime::UNIX_EPOCH);
        assert_eq!(parsed.as_ref().err().map(|invalid| invalid.field), refused, "{parsed:?}");
    }

    #[test]
    fn a_name_is_plain_text_with_plain_ends() {
        for (name, accepted) in [
            ("a", true),
            ("daily-check", true),
            ("Morning report v1.2_b", true),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
            ("", false),
            (" a", false),
            ("a ", false),
            ("-a", false),
            ("--flag", false),
            ("a/b", false),
            ("..", false),
            ("a\nb", false),
            ("\u{430}", false),
        ] {
            assert_eq!(JobName::parse(name).is_ok(), accepted, "{name:?}");
        }
    }

    #[test]
    fn each_part_has_its_limits() {
        check(|_| (), None);
        check(|draft| draft.name = "/".into(), Some("name"));
        check(|draft| draft.message = "a".repeat(8192), None);
        check(|draft| draft.message = "a".repeat(8193), Some("message"));
        check(|draft| draft.message = " \n".into(), Some("message"));
        check(|draft| draft.message = "a\0b".into(), Some("message"));
        check(|draft| draft.cron = "* * * * * *".into(), Some("cron"));
        check(|draft| draft.tz = Some("Mars".into()), Some("tz"));
        check(|draft| draft.description = Some("a".repeat(512)), None);
        check(|draft| draft.description = Some("a".repeat(513)), Some("description"));
        check(|draft| draft.thinking = Some("high".into()), None);
        check(|draft| draft.thinking = Some("xhigh".into()), Some("thinking"));
        for (seconds, refused) in [
            (1, None),
            (3600, None),
            (0, Some("timeoutSeconds")),
            (3601, Some("timeoutSeconds")),
            (i64::MIN, Some("timeoutSeconds")),
        ] {
            check(|draft| draft.timeout_seconds = Some(seconds), refused);
        }
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let spec = draft().parse("Europe/Berlin", DateTime::UNIX_EPOCH).unwrap();
        assert_eq!((spec.schedule.tz(), spec.session.as_str()), ("Europe/Berlin", "isolated"));
        let spec = JobDraft { tz: Some("UTC".into()), ..draft() }.parse("Europe/Berlin", DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(spec.schedule.tz(), "UTC");
    }
}
