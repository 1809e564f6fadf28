create table jobs (
    id                 text collate "C" primary key not null,
    friend_id          text collate "C" not null,
    agent_id           text collate "C" not null,
    name               text collate "C" not null check (length(name) between 1 and 64),
    description        text,
    message            text not null check (message <> ''),
    cron               text not null,
    tz                 text not null,
    session            text not null,
    thinking           text check (thinking in ('off', 'low', 'medium', 'high')),
    timeout_seconds    integer check (timeout_seconds between 1 and 3600),
    enabled            boolean not null,
    created_at         timestamp(3) not null,
    -- Every instant before it has a row in runs; null while the job is disabled.
    next_due           timestamp(3) check (enabled or next_due is null),
    last_run_at        timestamp(3),
    last_status        text check (last_status in ('delivered', 'failed', 'missed')),
    consecutive_errors integer not null check (consecutive_errors >= 0),
    unique (friend_id, agent_id, name),
    foreign key (friend_id, agent_id) references friendships (friend_id, agent_id) on delete cascade
);
create index jobs_next_due on jobs (next_due);

create table runs (
    id           text collate "C" primary key not null,
    job_id       text collate "C" not null references jobs (id) on delete cascade,
    cause        text not null check (cause in ('schedule', 'manual')),
    due_at       timestamp(3) not null,
    status       text not null check (status in ('queued', 'running', 'retrying', 'delivered', 'failed', 'missed')),
    attempts     integer not null check (attempts >= 0),
    -- When anybody may take the run while it is open: the end of a lease or of a pause.
    claimable_at timestamp(3) not null,
    started_at   timestamp(3),
    finished_at  timestamp(3),
    error        text,
    missed_from  timestamp(3),
    missed_count integer check (missed_count > 0),
    check ((finished_at is not null) = (status in ('delivered', 'failed', 'missed'))),
    check ((missed_from is not null) = (status = 'missed')),
    check ((missed_from is null) = (missed_count is null))
);
create index runs_job_id on runs (job_id, due_at);
-- Each instant has one row, whoever claims it.
create unique index runs_instant on runs (job_id, due_at) where cause = 'schedule';
-- A job has one open run at most.
create unique index runs_open on runs (job_id) where finished_at is null;
create index runs_claimable_at on runs (claimable_at) where finished_at is null;
create index runs_finished_at on runs (finished_at);
