alter table portal drop column time_zone_release;
delete from jobs where cron is null;
create table old_jobs (
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
insert into old_jobs select
    id, friend_id, agent_id, name, description, message, cron, tz, session,
    case thinking when 'minimal' then 'low' when 'xhigh' then 'high' else thinking end,
    timeout_seconds, enabled, created_at, next_due, last_run_at, last_status, consecutive_errors
from jobs;
create table old_runs (
    id           text primary key not null,
    job_id       text not null references old_jobs (id) on delete cascade,
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
insert into old_runs select * from runs;
drop table runs;
drop table jobs;
alter table old_jobs rename to jobs;
alter table old_runs rename to runs;
create index jobs_next_due on jobs (next_due);
create index runs_job_id on runs (job_id, due_at);
-- Each instant has one row, whoever claims it.
create unique index runs_instant on runs (job_id, due_at) where cause = 'schedule';
-- A job has one open run at most.
create unique index runs_open on runs (job_id) where finished_at is null;
create index runs_claimable_at on runs (claimable_at) where finished_at is null;
create index runs_finished_at on runs (finished_at);
