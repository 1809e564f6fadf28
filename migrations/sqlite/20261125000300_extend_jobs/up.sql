-- A job fires by cron, at one moment or at an interval; it remembers its newest runs; its changes are counted.
-- SQLite changes no check of a column, so both tables are made anew, the one that refers to the other first.
create table new_jobs (
    id                 text primary key not null,
    friend_id          text not null,
    agent_id           text not null,
    name               text not null check (length(name) between 1 and 64),
    description        text,
    message            text not null check (message <> ''),
    cron               text,
    tz                 text not null,
    session            text not null,
    thinking           text check (thinking in ('off', 'minimal', 'low', 'medium', 'high', 'xhigh')),
    timeout_seconds    integer check (timeout_seconds between 1 and 3600),
    enabled            boolean not null,
    created_at         timestamp not null,
    -- Every fire time before it has a row in runs; null while the job is disabled.
    next_due           timestamp check (enabled or next_due is null),
    last_run_at        timestamp,
    last_status        text check (last_status in ('delivered', 'failed', 'missed')),
    consecutive_errors integer not null check (consecutive_errors >= 0),
    fires_at           timestamp,
    every_minutes      integer check (every_minutes > 0),
    answer_to          text not null default 'nowhere' check (answer_to in ('chat', 'nowhere')),
    revision           integer not null default 1 check (revision > 0),
    last_error         text,
    -- The newest runs that have ended, newest first, as JSON: [{"status", "due_at"}].
    recent             text not null default '[]',
    unique (friend_id, agent_id, name),
    foreign key (friend_id, agent_id) references friendships (friend_id, agent_id) on delete cascade,
    check ((cron is not null) + (fires_at is not null) + (every_minutes is not null) = 1)
);
insert into new_jobs (
    id, friend_id, agent_id, name, description, message, cron, tz, session, thinking, timeout_seconds, enabled,
    created_at, next_due, last_run_at, last_status, consecutive_errors
) select
    id, friend_id, agent_id, name, description, message, cron, tz, session, thinking, timeout_seconds, enabled,
    created_at, next_due, last_run_at, last_status, consecutive_errors
from jobs;

create table new_runs (
    id           text primary key not null,
    job_id       text not null references new_jobs (id) on delete cascade,
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
insert into new_runs select * from runs;
drop table runs;
drop table jobs;
alter table new_jobs rename to jobs;
alter table new_runs rename to runs;
create index jobs_next_due on jobs (next_due);
-- Jobs for one moment that are over, which are few.
create index jobs_spent on jobs (fires_at) where not enabled;
create index runs_job_id on runs (job_id, due_at);
-- Each fire time has one row, whoever claims it.
create unique index runs_instant on runs (job_id, due_at) where cause = 'schedule';
-- A job has one open run at most.
create unique index runs_open on runs (job_id) where finished_at is null;
create index runs_claimable_at on runs (claimable_at) where finished_at is null;
create index runs_finished_at on runs (finished_at);

-- The newest release of the time zone database by which jobs were planned.
alter table portal add column time_zone_release text;
