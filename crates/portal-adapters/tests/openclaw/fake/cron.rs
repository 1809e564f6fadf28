//! Jobs as gateways keep them: targets, closed parameters, revisions, declared jobs, paging, a rate limit.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::Version;

/// Calls of a changing method that a newer gateway takes in a minute.
const RATE: usize = 30;

const ADD: [&str; 13] = [
    "name",
    "agentId",
    "sessionKey",
    "description",
    "enabled",
    "deleteAfterRun",
    "schedule",
    "sessionTarget",
    "wakeMode",
    "payload",
    "delivery",
    "failureAlert",
    "declarationKey",
];
const PATCH: [&str; 11] = [
    "name",
    "agentId",
    "sessionKey",
    "description",
    "enabled",
    "deleteAfterRun",
    "schedule",
    "sessionTarget",
    "wakeMode",
    "payload",
    "delivery",
];

type CallResult = Result<Value, Value>;

/// End of a run, as the test decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunEnd {
    Ok,
    /// The run succeeded and its answer did not reach the chat.
    NotSent,
    /// The run succeeded and the agent decided to say nothing.
    Silent,
    TimedOut,
    /// The gateway was restarted. Older ones forget such a run.
    Interrupted,
}

/// The state of a gateway.
pub(crate) struct Gateway {
    pub(crate) version: Version,
    /// The part `session` of its configuration.
    pub(crate) session: Value,
    pub(crate) jobs: Vec<Value>,
    /// Its clock, in milliseconds since 1970.
    pub(crate) now: i64,
    pub(crate) events: Vec<Value>,
    /// Its conversations, as it lists them.
    pub(crate) sessions: Vec<Value>,
    /// The agent's answer in the runs to come.
    pub(crate) answer: String,
    entries: HashMap<String, Vec<Value>>,
    open: HashMap<String, (Option<String>, i64)>,
    counts: HashMap<String, usize>,
    number: u64,
}

impl Gateway {
    pub(crate) fn new(version: Version) -> Self {
        Self {
            version,
            session: json!({"dmScope": "per-peer"}),
            jobs: Vec::new(),
            now: 1_700_000_000_120,
            events: Vec::new(),
            sessions: Vec::new(),
            answer: "Hello from the fake model.".to_owned(),
            entries: HashMap::new(),
            open: HashMap::new(),
            counts: HashMap::new(),
            number: 0,
        }
    }

    /// Lets a minute pass for the rate limit alone.
    pub(crate) fn forget_rate(&mut self) {
        self.counts.clear();
    }

    pub(crate) fn job(&mut self, id: &str) -> &mut Value {
        self.jobs.iter_mut().find(|job| job["id"] == id).unwrap()
    }

    /// Adds a job that was made by the agent, with the members that it gives.
    #[expect(clippy::needless_pass_by_value, reason = "tests give literals")]
    pub(crate) fn insert(&mut self, job: Value) -> String {
        self.number += 1;
        let id = format!("job-{:04}", self.number);
        let mut whole = json!({
            "id": id, "name": "reminder", "enabled": true, "createdAtMs": self.now, "updatedAtMs": self.now,
            "schedule": {"kind": "cron", "expr": "0 9 * * *", "tz": "Europe/Berlin"}, "wakeMode": "now",
            "sessionTarget": "session:agent:main:direct:alice", "payload": {"kind": "agentTurn", "message": "Say hi"},
            "delivery": {"mode": "none"}, "state": {"nextRunAtMs": self.now + 3_600_000},
        });
        for (member, value) in job.as_object().unwrap() {
            whole[member] = value.clone();
        }
        self.touch(&mut whole);
        self.jobs.push(whole);
        self.events.push(json!({"action": "added", "jobId": id}));
        id
    }

    /// Changes a job as somebody with the gateway's token would.
    pub(crate) fn edit(&mut self, id: &str, edit: impl FnOnce(&mut Value)) {
        let mut job = self.job(id).clone();
        edit(&mut job);
        self.touch(&mut job);
        *self.job(id) = job;
        self.events.push(json!({"action": "updated", "jobId": id}));
    }

    fn touch(&mut self, job: &mut Value) {
        if self.version == Version::New {
            self.number += 1;
            job["configRevision"] = format!("sha256:{}", self.number).into();
        }
    }

    /// Ends the open run of a job.
    pub(crate) fn finish(&mut self, id: &str, end: RunEnd) {
        let (run_id, run_at) = self.open.remove(id).unwrap();
        if let Some(job) = self.jobs.iter_mut().find(|job| job["id"] == id) {
            job["state"].as_object_mut().unwrap().remove("runningAtMs");
        }
        if self.version.protocol() == 3 && end == RunEnd::Interrupted {
            return;
        }
        self.record(id, run_id.filter(|_| self.version == Version::New && end != RunEnd::Interrupted), run_at, end);
    }

    /// Records a run that the schedule began and that has ended.
    pub(crate) fn fire(&mut self, id: &str) {
        self.record(id, None, self.now, RunEnd::Ok);
    }

    /// Forgets the runs of a job that have ended.
    pub(crate) fn forget_runs(&mut self, id: &str) {
        self.entries.remove(id);
    }

    /// The words for the delivery of an answer are those of the captured `cron.runs`.
    fn record(&mut self, id: &str, run_id: Option<String>, run_at: i64, end: RunEnd) {
        let job = self.jobs.iter().find(|job| job["id"] == id).cloned().unwrap_or_default();
        let own_session = format!("agent:main:cron:{id}:run:71fdb76c");
        let session = job["sessionTarget"].as_str().and_then(|target| target.strip_prefix("session:"));
        let mut entry = json!({
            "ts": self.now + 50, "jobId": id, "action": "finished", "status": "ok", "runAtMs": run_at, "durationMs": 50,
            "sessionKey": session.unwrap_or(&own_session), "delivered": false,
        });
        let is_new = self.version.protocol() == 4;
        let delivery = match (end, job["delivery"]["mode"] == "announce") {
            (RunEnd::TimedOut, _) => "not-requested",
            (RunEnd::Interrupted, _) => "unknown",
            (_, false) if is_new => "not-requested",
            (RunEnd::Ok, true) => "delivered",
            (RunEnd::NotSent, true) if !is_new => "unknown",
            _ => "not-delivered",
        };
        entry["deliveryStatus"] = delivery.into();
        entry["delivered"] = (delivery == "delivered").into();
        self.end(&mut entry, end);
        if let Some(run_id) = run_id {
            entry["runId"] = run_id.into();
        }
        if let Some(job) = self.jobs.iter_mut().find(|job| job["id"] == id) {
            job["state"]["lastRunAtMs"] = run_at.into();
            job["state"]["lastRunStatus"] = entry["status"].clone();
            job["state"]["lastError"] = entry["error"].clone();
            job["state"]["lastErrorReason"] = entry["errorReason"].clone();
            job["state"]["lastDeliveryStatus"] = entry["deliveryStatus"].clone();
            job["state"]["deliverySuppressionReason"] = entry["deliverySuppressionReason"].clone();
        }
        self.entries.entry(id.to_owned()).or_default().insert(0, entry);
        self.events.push(json!({"action": "finished", "jobId": id}));
    }

    /// Fills in how a run ended.
    fn end(&self, entry: &mut Value, end: RunEnd) {
        let is_new = self.version.protocol() == 4;
        match end {
            RunEnd::Ok => entry["summary"] = self.answer.as_str().into(),
            RunEnd::NotSent => {
                entry["summary"] = self.answer.as_str().into();
                // An older gateway calls the whole run an error.
                if !is_new {
                    entry["status"] = "error".into();
                }
            }
            RunEnd::Silent => {
                entry["summary"] = "NO_REPLY".into();
                if is_new {
                    entry["deliverySuppressionReason"] = "silent".into();
                }
            }
            RunEnd::TimedOut => {
                entry["status"] = "error".into();
                entry["error"] = "cron: job execution timed out (last phase: /var/lib/x)".into();
                entry["errorReason"] = "timeout".into();
            }
            RunEnd::Interrupted => {
                entry["status"] = "error".into();
                entry["error"] = "cron: job interrupted by gateway restart".into();
                entry.as_object_mut().unwrap().remove("sessionKey");
            }
        }
    }

    pub(crate) fn call(&mut self, method: &str, params: &Value) -> CallResult {
        let changes = matches!(method, "cron.add" | "cron.update" | "cron.remove" | "cron.run");
        if changes && self.version == Version::New {
            let count = self.counts.entry(method.to_owned()).or_default();
            *count += 1;
            if *count > RATE {
                return Err(json!({
                    "code": "UNAVAILABLE", "message": "rate limit exceeded", "retryable": true, "retryAfterMs": 52_280,
                    "details": {"method": method, "limit": "30 per 60s"},
                }));
            }
        }
        match method {
            "config.get" => Ok(json!({"config": {"session": self.session}})),
            "sessions.list" => Ok(json!({"sessions": self.sessions})),
            "cron.list" => self.list(params),
            "cron.get" if self.version.protocol() == 4 => {
                let index = self.index(params)?;
                Ok(self.jobs[index].clone())
            }
            "cron.add" => self.add(params),
            "cron.update" => self.update(params),
            "cron.remove" => self.remove(params),
            "cron.run" => self.run(params),
            "cron.runs" => self.runs(params),
            _ => Err(invalid("unknown method")),
        }
    }

    fn index(&self, params: &Value) -> Result<usize, Value> {
        let found = self.jobs.iter().position(|job| job["id"] == params["id"]);
        found.ok_or_else(|| {
            let details = json!({"code": "CRON_JOB_NOT_FOUND", "jobId": params["id"]});
            match self.version {
                Version::New => {
                    json!({"code": "INVALID_REQUEST", "message": "Automation not found", "details": details})
                }
                Version::Mid => invalid("id not found"),
                _ => json!({"code": "UNAVAILABLE", "message": "Error: unknown cron job id"}),
            }
        })
    }

    fn list(&self, params: &Value) -> CallResult {
        closed(params, &["includeDisabled", "limit", "offset"])?;
        let limit = usize::try_from(params["limit"].as_u64().unwrap_or(50)).unwrap();
        if !(1..=200).contains(&limit) {
            return Err(invalid("at /limit: must be <= 200"));
        }
        let shown: Vec<_> =
            self.jobs.iter().filter(|job| params["includeDisabled"] == true || job["enabled"] == true).collect();
        let offset = usize::try_from(params["offset"].as_u64().unwrap_or_default()).unwrap().min(shown.len());
        let page: Vec<_> = shown.iter().skip(offset).take(limit).collect();
        let end = offset + page.len();
        let mut listed = json!({
            "jobs": page, "total": shown.len(), "offset": offset, "limit": limit, "hasMore": end < shown.len(),
            "nextOffset": (end < shown.len()).then_some(end),
        });
        if self.version == Version::New {
            listed["snapshotRevision"] = format!("sha256:{}", self.number).into();
        }
        Ok(listed)
    }

    fn add(&mut self, params: &Value) -> CallResult {
        let is_new = self.version.protocol() == 4;
        closed(params, if is_new { &ADD } else { &ADD[..ADD.len() - 1] })?;
        let declared = params.get("declarationKey");
        let same = |job: &&mut Value| declared.is_some() && job.get("declarationKey") == declared;
        if let Some(job) = self.jobs.iter_mut().find(same) {
            return Ok(json!({"created": false, "updated": false, "job": job}));
        }
        let mut job = params.clone();
        job["sessionTarget"] = self.target(params)?.into();
        self.check_schedule(&params["schedule"])?;
        if job.get("delivery").is_none() {
            job["delivery"] = json!({"mode": "announce"});
        }
        if self.version == Version::New {
            job["payload"]["toolsAllow"] = json!(["*"]);
            job["effectiveAgentId"] = "main".into();
        }
        let id = self.insert(job);
        let job = self.job(&id).clone();
        Ok(if declared.is_some() { json!({"created": true, "job": job}) } else { job })
    }

    /// Returns the target that is stored: what a gateway does not know becomes a conversation of its own.
    fn target(&self, params: &Value) -> Result<String, Value> {
        let target = params["sessionTarget"].as_str().unwrap_or_default();
        let key = params["sessionKey"].as_str();
        let is_new = self.version.protocol() == 4;
        Ok(match (target, key) {
            ("main", _) if params["payload"]["kind"] == "agentTurn" => {
                return Err(if is_new { invalid("main cron jobs require systemEvent") } else { unavailable() });
            }
            ("main", _) => target.to_owned(),
            ("current", Some(_)) if self.version == Version::New => target.to_owned(),
            ("current", Some(key)) if self.version != Version::Pin => format!("session:{key}"),
            _ => match target.strip_prefix("session:") {
                Some("") if is_new => return Err(invalid("session target is empty")),
                Some(rest) if !rest.is_empty() && self.version != Version::Pin => target.to_owned(),
                _ => "isolated".to_owned(),
            },
        })
    }

    fn check_schedule(&self, schedule: &Value) -> Result<(), Value> {
        if schedule["kind"] == "cron" && schedule["expr"].as_str().is_none_or(|expr| expr.contains("MONDAY")) {
            return Err(if self.version.protocol() == 4 { invalid("CronPattern") } else { unavailable() });
        }
        Ok(())
    }

    fn update(&mut self, params: &Value) -> CallResult {
        let known = ["id", "patch", "expectedConfigRevision"];
        closed(params, if self.version == Version::New { &known } else { &known[..2] })?;
        closed(&params["patch"], &PATCH)?;
        let index = self.index(params)?;
        let mut job = self.jobs[index].clone();
        if job["payload"]["kind"] == "heartbeat" {
            return Err(
                json!({"code": "UNAVAILABLE", "message": "Error: system-owned monitor jobs cannot be updated"}),
            );
        }
        if let Some(expected) = params.get("expectedConfigRevision")
            && job["configRevision"] != *expected
        {
            return Err(json!({
                "code": "INVALID_REQUEST", "message": "cron job definition no longer matches",
                "details": {"code": "CRON_JOB_CHANGED", "actualConfigRevision": job["configRevision"]},
            }));
        }
        for (member, value) in params["patch"].as_object().unwrap() {
            match member.as_str() {
                "payload" | "delivery" => merge(&mut job[member], value, self.version),
                _ => job[member] = value.clone(),
            }
        }
        if !job["state"].is_object() {
            job["state"] = json!({});
        }
        if job["enabled"] == true {
            job["state"]["nextRunAtMs"] = (self.now + 3_600_000).into();
        } else {
            job["state"].as_object_mut().unwrap().remove("nextRunAtMs");
        }
        self.touch(&mut job);
        let id = job["id"].clone();
        self.jobs[index] = job.clone();
        self.events.push(json!({"action": "updated", "jobId": id}));
        Ok(job)
    }

    fn remove(&mut self, params: &Value) -> CallResult {
        closed(params, &["id"])?;
        match self.index(params) {
            Ok(index) => drop(self.jobs.remove(index)),
            Err(_) if self.version.protocol() == 3 => return Ok(json!({"ok": true, "removed": false})),
            Err(error) => return Err(error),
        }
        self.number += 1;
        self.events.push(json!({"action": "removed", "jobId": params["id"]}));
        Ok(json!({"ok": true, "removed": true}))
    }

    fn run(&mut self, params: &Value) -> CallResult {
        closed(params, &["id", "mode"])?;
        let index = self.index(params)?;
        let id = params["id"].as_str().unwrap().to_owned();
        if self.open.contains_key(&id) {
            return Ok(json!({"ok": true, "ran": false, "reason": "already-running"}));
        }
        self.number += 1;
        let run_id = format!("manual:{id}:{}:{}", self.now, self.number);
        self.open.insert(id.clone(), (Some(run_id.clone()), self.now + 10));
        self.jobs[index]["state"]["runningAtMs"] = (self.now + 10).into();
        if self.version == Version::Pin {
            self.finish(&id, RunEnd::Ok);
            return Ok(json!({"ok": true, "ran": true}));
        }
        self.events.push(json!({"action": "started", "jobId": id}));
        Ok(json!({"ok": true, "enqueued": true, "runId": run_id}))
    }

    fn runs(&self, params: &Value) -> CallResult {
        closed(params, &["id", "limit", "offset"])?;
        if params["id"].as_str().is_some_and(|id| id.contains('/')) {
            return Err(invalid("at /id: must match pattern"));
        }
        // Without an id it lists everybody's.
        let of_job = |id: &&String| params.get("id").is_none_or(|wanted| wanted == id.as_str());
        let is_known = params.get("id").is_none() || self.index(params).is_ok();
        let mut entries: Vec<_> =
            self.entries.iter().filter(|(id, _)| of_job(id)).flat_map(|(_, entries)| entries.clone()).collect();
        if !is_known && entries.is_empty() && self.version == Version::New {
            return Err(self.index(params).unwrap_err());
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry["ts"].as_i64()));
        let offset = usize::try_from(params["offset"].as_u64().unwrap_or_default()).unwrap();
        let limit = usize::try_from(params["limit"].as_u64().unwrap_or(50)).unwrap();
        let total = entries.len();
        let page: Vec<_> = entries.into_iter().skip(offset).take(limit).collect();
        let has_more = offset + page.len() < total;
        Ok(json!({"entries": page, "total": total, "offset": offset, "limit": limit, "hasMore": has_more}))
    }
}

/// Merges a part of a patch, as gateways do; older ones take nothing away.
fn merge(part: &mut Value, patch: &Value, version: Version) {
    if part["kind"] != patch["kind"] {
        *part = patch.clone();
        return;
    }
    let part: &mut Map<String, Value> = part.as_object_mut().unwrap();
    for (member, value) in patch.as_object().unwrap() {
        match value {
            Value::Null if version.protocol() == 3 => {}
            Value::Null => drop(part.remove(member)),
            value => drop(part.insert(member.clone(), value.clone())),
        }
    }
}

fn closed(params: &Value, known: &[&str]) -> Result<(), Value> {
    let unknown = params.as_object().unwrap().keys().find(|member| !known.contains(&member.as_str()));
    unknown.map_or(Ok(()), |member| Err(invalid(&format!("unexpected property '{member}'"))))
}

fn unavailable() -> Value {
    json!({"code": "UNAVAILABLE", "message": "TypeError"})
}

fn invalid(why: &str) -> Value {
    json!({"code": "INVALID_REQUEST", "message": format!("invalid params: {why}; must have required property 'jobId'")})
}
