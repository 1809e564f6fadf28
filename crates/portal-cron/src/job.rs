//! A job: its parts and their rules, and what somebody asks one to be.

use chrono::{DateTime, Utc};
use portal_core::{Change, FriendshipKey, Invalid};

use crate::session_key::DEFAULT_SESSION;
use crate::{RunStatus, TimeZones, Timing, TimingDraft, TimingKind};

/// Longest name, in bytes.
const NAME_MAX: usize = 64;
/// Longest message, in bytes.
pub const MESSAGE_MAX: usize = 8 * 1024;
/// Longest description, in bytes.
const DESCRIPTION_MAX: usize = 512;
/// Longest time that an agent may be asked to work on one message, in seconds.
const TIMEOUT_MAX: u16 = 3600;
/// Most ended runs that a job remembers in [`JobState::recent`].
pub const RECENT_MAX: usize = 10;

/// Name of a job, unique among those of its owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobName(String);

portal_core::string_newtype!(JobName);

impl JobName {
    /// Returns the name under which a job of the agent's own making is shown: of the first 64 letters, those that fit on
    /// one line; `job` if none is left.
    #[must_use]
    pub fn of_agent(text: &str) -> Self {
        let is_shown = |letter: &char| !letter.is_control() && !is_invisible(*letter);
        // Long names are cut before they are looked at: an agent may give one of a hundred thousand letters.
        let line: String =
            text.trim().chars().take(NAME_MAX).map(|letter| if letter == '\n' { ' ' } else { letter }).collect();
        let line: String = line.chars().filter(is_shown).collect();
        Self(match line.trim() {
            "" => "job".to_owned(),
            line => line.to_owned(),
        })
    }

    /// Reads a name.
    ///
    /// # Errors
    /// Refuses what `^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?$` does not match.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b" ._-".contains(&byte);
        let edge = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
        let edges_are_plain = edge(text.chars().next()) && edge(text.chars().next_back());
        // No slash and no blank ends: a name stands in paths, and is typed by people.
        if text.len() <= NAME_MAX && edges_are_plain && text.bytes().all(inner) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::not_matching(
            "name",
            "^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?$",
            "name must be 1 to 64 letters (A-Z, a-z), digits, spaces, dots, underscores or hyphens, and begin and end with a letter or digit",
        ))
    }
}

/// Returns whether a letter changes how the ones around it are shown, and is not seen itself.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

portal_core::word_enum! {
    /// Depth of thought that an agent is asked for, in the gateway's levels.
    pub enum Thinking: "thinking" {
        /// None.
        Off = "off",
        /// The least that the model offers.
        Minimal = "minimal",
        /// A little.
        Low = "low",
        /// Between low and high.
        Medium = "medium",
        /// Much.
        High = "high",
        /// The most that the model offers.
        Xhigh = "xhigh",
    }
}

portal_core::word_enum! {
    /// Destination of the agent's answer to a job's message.
    pub enum AnswerTo: "answer_to" {
        /// The friend's own address on a channel, which the portal looks up and no client gives.
        Chat = "chat",
        /// None: the answer stays in the job's session.
        Nowhere = "nowhere",
    }
}

/// The parts of a job that its owner decides; once parsed, every rule about them holds. Whose session it names is
/// decided by [`crate::SessionKeys`], anew for every delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// Unique among the owner's jobs unless the agent made one itself; never changed.
    pub name: JobName,
    /// A note of the friend's, up to 512 bytes.
    pub description: Option<String>,
    /// The text that the agent gets, up to 8 KiB.
    pub message: String,
    /// The fire times.
    pub timing: Timing,
    /// Conversation in which the agent gets it, as it was typed; `isolated` if none was given.
    pub session: String,
    /// Depth of thought; the agent's own if none was given.
    pub thinking: Option<Thinking>,
    /// Longest time for the agent's work, in seconds, from 1 to 3600.
    pub timeout_seconds: Option<u16>,
    /// Destination of the agent's answer.
    pub answer_to: AnswerTo,
}

/// A job as somebody asks for it, not yet parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobDraft {
    /// See [`JobName::parse`].
    pub name: String,
    /// 1 byte to 8 KiB.
    pub message: String,
    /// Exactly one of its members.
    pub timing: TimingDraft,
    /// `None` for the default conversation.
    pub session: Option<String>,
    /// IANA time zone of `timing`; `None` for UTC.
    pub tz: Option<String>,
    /// Up to 512 bytes.
    pub description: Option<String>,
    /// A word of [`Thinking`].
    pub thinking: Option<String>,
    /// 1 to 3600.
    pub timeout_seconds: Option<i64>,
    /// A word of [`AnswerTo`]; `None` for `chat` where the friend has a contact.
    pub answer_to: Option<String>,
}

impl JobDraft {
    /// Reads the draft as it is proposed at `now`; `default_answer` is the destination of one that names none.
    ///
    /// # Errors
    /// Refuses the first part whose rule is broken, naming it.
    pub fn parse(self, default_answer: AnswerTo, zones: &TimeZones, now: DateTime<Utc>) -> Result<JobSpec, Invalid> {
        Ok(JobSpec {
            name: JobName::parse(&self.name)?,
            message: parse_message(self.message)?,
            timing: self.timing.parse(self.tz.as_deref().unwrap_or("UTC"), zones, now)?,
            session: self.session.unwrap_or_else(|| DEFAULT_SESSION.to_owned()),
            description: self.description.filter(|text| !text.is_empty()).map(parse_description).transpose()?,
            thinking: self.thinking.as_deref().map(Thinking::parse).transpose()?,
            timeout_seconds: self.timeout_seconds.map(parse_timeout).transpose()?,
            answer_to: self.answer_to.as_deref().map_or(Ok(default_answer), AnswerTo::parse)?,
        })
    }
}

/// Changes to a job, not yet parsed; `None` leaves a part as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobPatch {
    /// Another message.
    pub message: Option<String>,
    /// Another timing, where one of its members is given.
    pub timing: TimingDraft,
    /// Another time zone for a timing that is new or an expression that stays.
    pub tz: Option<String>,
    /// Another description.
    pub description: Change<String>,
    /// Another depth of thought.
    pub thinking: Change<String>,
    /// Another limit of time.
    pub timeout_seconds: Change<i64>,
    /// Another destination of the answer.
    pub answer_to: Option<String>,
    /// `true` enables the job, `false` disables it.
    pub enabled: Option<bool>,
    /// Revisions of the job that the changes are meant for; `None` for any.
    pub revisions: Option<Vec<u32>>,
}

impl JobPatch {
    /// Returns `spec` with the changes that are proposed at `now`.
    ///
    /// # Errors
    /// Refuses the first part whose rule is broken, naming it.
    pub fn apply(self, spec: &JobSpec, zones: &TimeZones, now: DateTime<Utc>) -> Result<JobSpec, Invalid> {
        let mut spec = spec.clone();
        if let Some(message) = self.message {
            spec.message = parse_message(message)?;
        }
        // Name and session stay: both decide whose conversation it is, and runs refer to them.
        self.description.apply(&mut spec.description, parse_description)?;
        self.thinking.apply(&mut spec.thinking, |text| Thinking::parse(&text))?;
        self.timeout_seconds.apply(&mut spec.timeout_seconds, parse_timeout)?;
        // An empty note is none, as it is in a new job.
        spec.description = spec.description.filter(|text| !text.is_empty());
        if let Some(answer_to) = self.answer_to {
            spec.answer_to = AnswerTo::parse(&answer_to)?;
        }
        spec.timing = patch_timing(spec.timing, self.timing, self.tz, zones, now)?;
        Ok(spec)
    }
}

fn patch_timing(
    timing: Timing,
    draft: TimingDraft,
    tz: Option<String>,
    zones: &TimeZones,
    now: DateTime<Utc>,
) -> Result<Timing, Invalid> {
    let is_moved = tz.as_ref().is_some_and(|tz| *tz != timing.tz);
    // What stays was accepted by whoever keeps it: a job of the agent's own may name no time zone at all.
    if draft.is_empty() && !is_moved {
        return Ok(timing);
    }
    let tz = tz.unwrap_or_else(|| timing.tz.clone());
    if !draft.is_empty() {
        return draft.parse(&tz, zones, now);
    }
    match timing.kind {
        // The same fields mean other moments in another zone, and may name none.
        TimingKind::Cron(cron) if is_moved => {
            TimingDraft { cron: Some(cron), ..TimingDraft::default() }.parse(&tz, zones, now)
        }
        // A moment and an interval stay what they are; only the clock that shows them is another.
        TimingKind::At(moment) if is_moved => {
            zones.check(&tz).map(|()| Timing { kind: TimingKind::At(moment.at.into()), tz })
        }
        kind => zones.check(&tz).map(|()| Timing { kind, tz }),
    }
}

pub(crate) fn parse_message(message: String) -> Result<String, Invalid> {
    // PostgreSQL stores no U+0000.
    if message.len() > MESSAGE_MAX || message.trim().is_empty() || message.contains('\0') {
        return Err(Invalid::new(
            "message",
            format!("message must be 1 to {MESSAGE_MAX} bytes of text and not blank, but it has {}", message.len()),
        ));
    }
    Ok(message)
}

fn parse_description(description: String) -> Result<String, Invalid> {
    if description.len() > DESCRIPTION_MAX || description.contains('\0') {
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

/// A stored job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// 32 hexadecimal digits where the portal keeps it, else the gateway's id.
    pub id: String,
    /// The friend and the agent.
    pub owner: FriendshipKey,
    /// The parts that its owner decides.
    pub spec: JobSpec,
    /// A disabled job runs by hand only.
    pub enabled: bool,
    /// True for the agent's own reminder, which its owner sees and cannot change, run or delete.
    pub read_only: bool,
    /// Also the moment from which an interval is counted.
    pub created_at: DateTime<Utc>,
    /// Number of changes by its owner, from 1: of creation, changes of its parts, enabling and disabling. What runs do
    /// to it is not counted.
    pub revision: u32,
    /// The parts that its runs decide.
    pub state: JobState,
}

/// The parts of a job that its runs decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobState {
    /// Next fire time; `None` while the job is disabled.
    pub next_run: Option<DateTime<Utc>>,
    /// Begin of its newest run.
    pub last_run: Option<DateTime<Utc>>,
    /// End of the newest run that has ended, one of [`RunStatus::ENDED`].
    pub last_status: Option<RunStatus>,
    /// The error of that run, in words for the friend; `None` if its message was delivered.
    pub last_error: Option<String>,
    /// Number of runs that have failed since one was delivered.
    pub consecutive_errors: u32,
    /// The newest runs that have ended, newest first, at most [`RECENT_MAX`].
    pub recent: Vec<RecentRun>,
}

impl JobState {
    /// Puts a run that has ended before the other recent ones.
    pub fn push_recent(&mut self, run: RecentRun) {
        self.recent.insert(0, run);
        self.recent.truncate(RECENT_MAX);
    }
}

/// A run that has ended, as a job remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentRun {
    /// Delivered, failed or missed.
    pub status: RunStatus,
    /// Its fire time; of a missed window the last one.
    pub due_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use portal_core::Change;

    use super::{AnswerTo, JobDraft, JobName, JobPatch, JobSpec};
    use crate::{TimeZones, TimingDraft, TimingKind};

    fn cron(text: &str) -> TimingDraft {
        TimingDraft { cron: Some(text.into()), ..TimingDraft::default() }
    }

    fn draft() -> JobDraft {
        JobDraft {
            name: "daily".into(),
            message: "Hello".into(),
            timing: cron("0 9 * * *"),
            tz: Some("Europe/Berlin".into()),
            ..JobDraft::default()
        }
    }

    fn parse(draft: JobDraft) -> Result<JobSpec, portal_core::Invalid> {
        draft.parse(AnswerTo::Chat, &TimeZones::bundled(), DateTime::UNIX_EPOCH)
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut JobDraft), refused: Option<&str>) {
        let mut draft = draft();
        change(&mut draft);
        let parsed = parse(draft);
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
        check(|draft| draft.timing = cron("* * * * * *"), Some("cron"));
        check(|draft| draft.timing = TimingDraft::default(), Some("cron"));
        check(|draft| draft.timing.every = Some("1h".into()), Some("cron"));
        check(|draft| draft.answer_to = Some("nowhere".into()), None);
        check(|draft| draft.answer_to = Some("+15550100".into()), Some("answer_to"));
        check(|draft| draft.tz = Some("Mars".into()), Some("tz"));
        check(|draft| draft.description = Some("a".repeat(512)), None);
        check(|draft| draft.description = Some("a".repeat(513)), Some("description"));
        check(|draft| draft.thinking = Some("high".into()), None);
        check(|draft| draft.thinking = Some("xhigh".into()), None);
        check(|draft| draft.thinking = Some("minimal".into()), None);
        check(|draft| draft.thinking = Some("ultra".into()), Some("thinking"));
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
        let spec = parse(JobDraft { tz: None, ..draft() }).unwrap();
        assert_eq!(
            (spec.timing.tz.as_str(), spec.session.as_str(), spec.answer_to),
            ("UTC", "isolated", AnswerTo::Chat)
        );
    }

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let (zones, now) = (TimeZones::bundled(), DateTime::UNIX_EPOCH);
        let spec =
            parse(JobDraft { description: Some("why".into()), thinking: Some("low".into()), ..draft() }).unwrap();
        let apply = |patch: JobPatch| patch.apply(&spec, &zones, now);
        assert_eq!(apply(JobPatch::default()).unwrap(), spec);
        let emptied = JobPatch { description: Change::Clear, thinking: Change::Clear, ..JobPatch::default() };
        assert_eq!(apply(emptied).unwrap(), JobSpec { description: None, thinking: None, ..spec.clone() });
        let moved = apply(JobPatch { tz: Some("Asia/Tokyo".into()), ..JobPatch::default() }).unwrap();
        assert_eq!((moved.timing.tz.as_str(), &moved.timing.kind), ("Asia/Tokyo", &spec.timing.kind));
        let timing = TimingDraft { every: Some("90m".into()), ..TimingDraft::default() };
        let TimingKind::Every(every) = apply(JobPatch { timing, ..JobPatch::default() }).unwrap().timing.kind else {
            panic!("not an interval");
        };
        assert_eq!(every.to_string(), "90m");
        for (patch, field) in [
            (JobPatch { message: Some(" ".into()), ..JobPatch::default() }, "message"),
            (JobPatch { timing: cron("0 0 30 2 *"), ..JobPatch::default() }, "cron"),
            (JobPatch { tz: Some("Mars".into()), ..JobPatch::default() }, "tz"),
            (JobPatch { timeout_seconds: Change::Set(0), ..JobPatch::default() }, "timeoutSeconds"),
        ] {
            assert_eq!(apply(patch).unwrap_err().field, field);
        }
    }
}
