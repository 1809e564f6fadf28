-- Changes of jobs that an agent's gateway keeps: at most one of each job is under way. The entry for the audit log stands
-- here until the change ends.
create table remote_changes (
    id         text collate "C" primary key not null,
    friend_id  text collate "C" not null,
    agent_id   text collate "C" not null,
    job        text not null,
    until      timestamp(3) not null,
    lost       boolean not null,
    changed_at timestamp(3) not null,
    actor      text not null,
    action     text not null,
    subject    text not null,
    detail     text not null,
    unique (friend_id, agent_id, job),
    foreign key (friend_id, agent_id) references friendships (friend_id, agent_id) on delete cascade
);
create index remote_changes_until on remote_changes (until);

-- Runs of such jobs that friends asked for.
create table remote_runs (
    id           text collate "C" primary key not null,
    friend_id    text collate "C" not null,
    agent_id     text collate "C" not null,
    job          text not null,
    remote_id    text,
    requested_at timestamp(3) not null,
    expected_by  timestamp(3) not null,
    status       text not null check (status in ('queued', 'delivered', 'failed', 'unknown')),
    started_at   timestamp(3),
    finished_at  timestamp(3),
    error        text,
    check ((finished_at is not null) = (status <> 'queued')),
    foreign key (friend_id, agent_id) references friendships (friend_id, agent_id) on delete cascade
);
create index remote_runs_job on remote_runs (friend_id, agent_id, job, requested_at);
create index remote_runs_status on remote_runs (agent_id, status, requested_at);
create index remote_runs_requested_at on remote_runs (requested_at);

-- Such jobs that the portal disabled because the friendship is not active, and enables when it is again.
create table remote_pauses (
    friend_id text collate "C" not null,
    agent_id  text collate "C" not null,
    job       text not null,
    primary key (friend_id, agent_id, job),
    foreign key (friend_id, agent_id) references friendships (friend_id, agent_id) on delete cascade
);

-- Hints for event streams, as for the portal's own jobs.
create function log_remote_change() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, agent_id, subject) values (old.friend_id, 'job', old.agent_id, old.job);
    return null;
end $$;
create function log_remote_run() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, agent_id, subject) values (new.friend_id, 'run', new.agent_id, new.id);
    return null;
end $$;
create trigger remote_changes_ended after delete on remote_changes for each row execute function log_remote_change();
create trigger remote_runs_inserted after insert on remote_runs for each row execute function log_remote_run();
create trigger remote_runs_ended after update of status on remote_runs for each row
when (old.status <> new.status) execute function log_remote_run();
