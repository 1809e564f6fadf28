-- The tables and rows of the first release, as a dump of SQLite wrote them.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE __diesel_schema_migrations (version varchar(50) primary key not null, run_on timestamp not null default current_timestamp);
INSERT INTO "__diesel_schema_migrations" VALUES('20261123000100','2026-11-23 09:00:00');
INSERT INTO "__diesel_schema_migrations" VALUES('20261123000200','2026-11-23 09:00:00');
INSERT INTO "__diesel_schema_migrations" VALUES('20261123000300','2026-11-23 09:00:00');
INSERT INTO "__diesel_schema_migrations" VALUES('20261123000400','2026-11-23 09:00:00');
CREATE TABLE agents (
    id         text primary key not null check (length(id) between 1 and 64),
    token_hash text not null unique check (length(token_hash) = 64),
    created_at timestamp not null
);
INSERT INTO "agents" VALUES('main','6f010f392843c1a56f2e42d13e8660558d7de3544fe6cf4082d41250d5ad4278','2026-11-01 08:30:00');
CREATE TABLE audit_log (
    id        integer primary key autoincrement not null,
    at        timestamp not null,
    actor     text not null,
    action    text not null,
    friend_id text,
    subject   text not null,
    detail    text not null
);
INSERT INTO "audit_log" VALUES(1,'2026-11-01 08:30:00','operator:root','friend.create','alice','alice','');
INSERT INTO "audit_log" VALUES(2,'2026-11-21 08:30:00','friend:alice','exposure.open','alice','web','');
CREATE TABLE contacts (
    channel   text not null,
    address   text not null check (address = lower(address)),
    friend_id text not null references friends (id) on delete cascade,
    primary key (channel, address)
);
INSERT INTO "contacts" VALUES('telegram','12345','alice');
CREATE TABLE document_versions (
    id           text primary key not null,
    agent_id     text not null,
    path         text not null,
    seq          bigint not null,
    state        text not null check (state in ('pending', 'kept')),
    tag          text not null check (length(tag) = 64),
    size         bigint not null check (size = length(bytes)),
    bytes        blob not null,
    saved_at     timestamp not null,
    friend_id    text references friends (id) on delete cascade,
    session_id   text,
    burst_since  timestamp,
    replaces     text,
    previous_tag text,
    unique (agent_id, path, seq),
    foreign key (agent_id, path) references documents (agent_id, path) on delete cascade,
    check ((friend_id is null) = (session_id is null)),
    check ((friend_id is null) = (burst_since is null)),
    check (state = 'kept' or friend_id is not null)
);
INSERT INTO "document_versions" VALUES('version-1','main','friends/alice/MEMORY.md',1,'kept','a1ddaad5fa466a6cc821b24045d5e8f41afbe37b5b908ad6e67b6104bd7ff5b9',20,X'7772697474656E20627920746865206167656E74','2026-11-20 08:30:00',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "document_versions" VALUES('version-2','main','friends/alice/MEMORY.md',2,'kept','2118124f52a81605b64607a5bdb80ff496dd550ac84c5ce2aa70d1291bcd1877',17,X'7772697474656E20627920C3A46C696365','2026-11-21 08:30:00','alice','session-1','2026-11-21 08:30:00',NULL,NULL);
INSERT INTO "document_versions" VALUES('write-1','main','HEARTBEAT.md',1,'pending','2fa190f0f1e1b13919a9c7250bcb16a094e8034632a1e6551420faac47a4a851',15,X'23204576657279206D6F726E696E67','2026-11-22 08:30:00','alice','session-1','2026-11-22 08:30:00',NULL,'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
CREATE TABLE documents (
    agent_id    text not null references agents (id) on delete cascade,
    path        text not null,
    friend_id   text references friends (id) on delete cascade,
    lease_write text,
    lease_until timestamp,
    primary key (agent_id, path),
    check ((lease_write is null) = (lease_until is null))
);
INSERT INTO "documents" VALUES('main','friends/alice/MEMORY.md','alice',NULL,NULL);
INSERT INTO "documents" VALUES('main','HEARTBEAT.md',NULL,'write-1','2026-11-22 08:30:00');
CREATE TABLE exposures (
    id              text primary key not null check (length(id) = 32),
    friend_id       text not null references friends (id),
    name            text not null check (length(name) between 1 and 20),
    service         text not null check (length(service) between 1 and 63),
    port            integer not null check (port between 1 and 65535),
    domain          text not null check (domain = lower(domain)),
    desired         text not null check (desired in ('present', 'absent')),
    status          text not null check (status in ('active', 'pending', 'removing', 'failed')),
    reason          text,
    generation      bigint not null check (generation > 0),
    established     boolean not null,
    attempts        integer not null check (attempts >= 0),
    next_attempt_at timestamp not null,
    lease_token     text,
    lease_until     timestamp,
    created_at      timestamp not null,
    changed_at      timestamp not null,
    unique (friend_id, name),
    check ((desired = 'absent') = (status = 'removing')),
    check ((status = 'active') = (reason is null)),
    check ((lease_token is null) = (lease_until is null))
);
INSERT INTO "exposures" VALUES('11111111111111111111111111111111','alice','web','my-app',80,'your-domain.net','present','active',NULL,3,1,0,'2026-11-21 08:30:00',NULL,NULL,'2026-11-21 08:30:00','2026-11-21 08:30:01');
INSERT INTO "exposures" VALUES('22222222222222222222222222222222','alice','api','my-api',8080,'your-domain.net','present','failed','service-missing',1,0,4,'2026-11-21 08:30:00',NULL,NULL,'2026-11-21 08:30:00','2026-11-21 08:30:02');
INSERT INTO "exposures" VALUES('33333333333333333333333333333333','alice','old','my-app',80,'your-domain.net','absent','removing','in-progress',5,1,0,'2026-11-21 08:30:00',NULL,NULL,'2026-11-21 08:30:00','2026-11-21 08:30:03');
CREATE TABLE friends (
    id                text primary key not null check (length(id) between 1 and 40),
    display_name      text,
    preferred_channel text,
    time_zone         text,
    created_at        timestamp not null
);
INSERT INTO "friends" VALUES('alice','Alice Example','telegram','Europe/Berlin','2026-11-01 08:30:00');
INSERT INTO "friends" VALUES('bob',NULL,NULL,NULL,'2026-11-02 08:30:00');
CREATE TABLE friendships (
    friend_id          text not null references friends (id) on delete cascade,
    agent_id           text not null references agents (id) on delete cascade,
    status             text not null check (status in ('active', 'inactive', 'blocked')),
    heartbeat_writable boolean not null,
    created_at         timestamp not null,
    primary key (friend_id, agent_id)
);
INSERT INTO "friendships" VALUES('alice','main','active',1,'2026-11-01 08:30:00');
INSERT INTO "friendships" VALUES('bob','main','blocked',0,'2026-11-02 08:30:00');
CREATE TABLE hostnames (
    hostname    text primary key not null check (hostname = lower(hostname)),
    exposure_id text not null references exposures (id) on delete cascade deferrable initially deferred,
    role        text not null check (role in ('wanted', 'leaving'))
);
INSERT INTO "hostnames" VALUES('web-alice.your-domain.net','11111111111111111111111111111111','wanted');
INSERT INTO "hostnames" VALUES('api-alice.your-domain.net','22222222222222222222222222222222','wanted');
INSERT INTO "hostnames" VALUES('old-alice.your-domain.net','33333333333333333333333333333333','wanted');
INSERT INTO "hostnames" VALUES('web-alice.other-domain.net','11111111111111111111111111111111','leaving');
CREATE TABLE jobs (
    id                 text primary key not null,
    friend_id          text not null,
    agent_id           text not null,
    name               text not null check (length(name) between 1 and 64),
    description        text,
    message            text not null check (message <> ''),
    cron               text not null,
    tz                 text not null,
    session            text not null,
    thinking           text check (thinking in ('off', 'low', 'medium', 'high')),
    timeout_seconds    integer check (timeout_seconds between 1 and 3600),
    enabled            boolean not null,
    created_at         timestamp not null,
    -- Every instant before it has a row in runs; null while the job is disabled.
    next_due           timestamp check (enabled or next_due is null),
    last_run_at        timestamp,
    last_status        text check (last_status in ('delivered', 'failed', 'missed')),
    consecutive_errors integer not null check (consecutive_errors >= 0),
    unique (friend_id, agent_id, name),
    foreign key (friend_id, agent_id) references friendships (friend_id, agent_id) on delete cascade
);
INSERT INTO "jobs" VALUES('job-1','alice','main','morning','A job','Check my portfolio','0 9 * * *','Europe/Berlin','isolated','low',600,1,'2026-11-20 08:30:00','2026-11-23 08:00:00','2026-11-22 08:00:01','delivered',0);
INSERT INTO "jobs" VALUES('job-2','alice','main','weekly',NULL,'Check my portfolio','0 18 * * 5','UTC','isolated',NULL,NULL,0,'2026-11-20 08:30:00',NULL,NULL,'failed',3);
CREATE TABLE portal (
    id       integer primary key not null check (id = 1),
    instance text not null check (length(instance) = 32)
);
INSERT INTO "portal" VALUES(1,'5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a');
CREATE TABLE runs (
    id           text primary key not null,
    job_id       text not null references jobs (id) on delete cascade,
    cause        text not null check (cause in ('schedule', 'manual')),
    due_at       timestamp not null,
    status       text not null check (status in ('queued', 'running', 'retrying', 'delivered', 'failed', 'missed')),
    attempts     integer not null check (attempts >= 0),
    -- When anybody may take the run while it is open: the end of a lease or of a pause.
    claimable_at timestamp not null,
    started_at   timestamp,
    finished_at  timestamp,
    error        text,
    missed_from  timestamp,
    missed_count integer check (missed_count > 0),
    check ((finished_at is not null) = (status in ('delivered', 'failed', 'missed'))),
    check ((missed_from is not null) = (status = 'missed')),
    check ((missed_from is null) = (missed_count is null))
);
INSERT INTO "runs" VALUES('run-1','job-1','schedule','2026-11-22 08:00:00','delivered',1,'2026-11-22 08:01:00','2026-11-22 08:00:01','2026-11-22 08:00:02',NULL,NULL,NULL);
INSERT INTO "runs" VALUES('run-2','job-1','schedule','2026-11-21 08:00:00','missed',0,'2026-11-22 07:00:00',NULL,'2026-11-22 07:00:00',NULL,'2026-11-20 08:00:00',2);
INSERT INTO "runs" VALUES('run-3','job-2','schedule','2026-11-20 18:00:00','failed',5,'2026-11-20 19:00:00','2026-11-20 18:00:01','2026-11-20 19:00:00','the receiver answered 500',NULL,NULL);
INSERT INTO "runs" VALUES('run-4','job-2','manual','2026-11-22 10:00:00','retrying',2,'2026-11-22 10:05:00','2026-11-22 10:00:01',NULL,'the receiver answered 503',NULL,NULL);
CREATE TABLE sessions (
    id         text primary key not null,
    token_hash text not null unique check (length(token_hash) = 64),
    friend_id  text not null references friends (id) on delete cascade,
    agent_id   text not null references agents (id) on delete cascade,
    created_at timestamp not null,
    expires_at timestamp not null check (expires_at > created_at),
    revoked_at timestamp
);
INSERT INTO "sessions" VALUES('session-1','bf90ef0fbe20605d38e713824feb73e5fe503d79da2b2633155b584102a8b71b','alice','main','2026-11-20 08:30:00','2026-12-20 08:30:00',NULL);
INSERT INTO "sessions" VALUES('session-2','c8940ca82883266de2b8ca83392bd83d3151e91d1e111951ed45a05c4403c0e3','bob','main','2026-11-10 08:30:00','2026-12-10 08:30:00','2026-11-11 08:30:00');
CREATE TABLE tombstones (
    exposure_id text not null check (length(exposure_id) = 32),
    hostname    text not null check (hostname = lower(hostname)),
    friend_id   text not null,
    name        text not null,
    parted      text not null check (parted in ('moved', 'ended')),
    at          timestamp not null,
    primary key (exposure_id, hostname)
);
INSERT INTO "tombstones" VALUES('44444444444444444444444444444444','gone-alice.your-domain.net','alice','gone','ended','2026-11-22 08:30:00');
INSERT INTO "tombstones" VALUES('11111111111111111111111111111111','web-alice.third-domain.net','alice','web','moved','2026-11-22 08:30:00');
CREATE INDEX contacts_friend_id on contacts (friend_id);
CREATE INDEX contacts_address on contacts (address);
CREATE INDEX friendships_agent_id on friendships (agent_id);
CREATE INDEX sessions_friend_id on sessions (friend_id);
CREATE INDEX sessions_agent_id on sessions (agent_id);
CREATE INDEX sessions_expires_at on sessions (expires_at);
CREATE INDEX audit_log_friend_id on audit_log (friend_id, id);
CREATE INDEX audit_log_at on audit_log (at);
CREATE INDEX exposures_status on exposures (status, next_attempt_at);
CREATE INDEX exposures_changed_at on exposures (changed_at);
CREATE INDEX hostnames_exposure_id on hostnames (exposure_id);
CREATE UNIQUE INDEX hostnames_wanted on hostnames (exposure_id) where role = 'wanted';
CREATE INDEX tombstones_hostname on tombstones (hostname);
CREATE INDEX tombstones_friend_id on tombstones (friend_id, name);
CREATE INDEX tombstones_at on tombstones (at);
CREATE INDEX documents_friend_id on documents (friend_id);
CREATE INDEX documents_lease_until on documents (lease_until);
CREATE UNIQUE INDEX document_versions_pending on document_versions (agent_id, path) where state = 'pending';
CREATE INDEX document_versions_friend_id on document_versions (friend_id);
CREATE INDEX jobs_next_due on jobs (next_due);
CREATE INDEX runs_job_id on runs (job_id, due_at);
CREATE UNIQUE INDEX runs_instant on runs (job_id, due_at) where cause = 'schedule';
CREATE UNIQUE INDEX runs_open on runs (job_id) where finished_at is null;
CREATE INDEX runs_claimable_at on runs (claimable_at) where finished_at is null;
CREATE INDEX runs_finished_at on runs (finished_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit_log',2);
COMMIT;
