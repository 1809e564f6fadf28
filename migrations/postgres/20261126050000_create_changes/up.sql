-- Hints for event streams: what changed, not its content. Triggers write them, in the change's own transaction, so that
-- no change is without one, whoever makes it. Outlives what it tells of, hence no foreign keys.
create table changes (
    id        bigint generated always as identity primary key,
    at        timestamp(3) not null default (clock_timestamp() at time zone 'utc'),
    friend_id text collate "C" not null,
    topic     text not null check (topic in ('exposure', 'document', 'job', 'run', 'session-ended')),
    agent_id  text collate "C",
    subject   text not null
);
create index changes_at on changes (at);
create index changes_friend_id on changes (friend_id, at);

create function log_exposure() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, subject) values (new.friend_id, 'exposure', new.name);
    return null;
end $$;
create function log_exposure_deleted() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, subject) values (old.friend_id, 'exposure', old.name);
    return null;
end $$;
create trigger exposures_inserted after insert on exposures for each row execute function log_exposure();
-- Leases and retries change a row without changing what is shown.
create trigger exposures_updated
after update of generation, status, reason, route_done, record_done on exposures for each row
when ((old.generation, old.status, old.reason, old.route_done, old.record_done)
    is distinct from (new.generation, new.status, new.reason, new.route_done, new.record_done))
execute function log_exposure();
create trigger exposures_deleted after delete on exposures for each row execute function log_exposure_deleted();

create function log_document() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, agent_id, subject)
    select friend_id, 'document', new.agent_id, case new.path when 'HEARTBEAT.md' then 'heartbeat' else 'memory' end
    from friendships
    where agent_id = new.agent_id and status = 'active'
        and new.path in ('HEARTBEAT.md', 'friends/' || friend_id || '/MEMORY.md');
    return null;
end $$;
create trigger document_versions_inserted after insert on document_versions for each row
when (new.state = 'kept') execute function log_document();
create trigger document_versions_kept after update of state on document_versions for each row
when (old.state <> 'kept' and new.state = 'kept') execute function log_document();

create function log_job() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, agent_id, subject) values (new.friend_id, 'job', new.agent_id, new.id);
    return null;
end $$;
create function log_job_deleted() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, agent_id, subject) values (old.friend_id, 'job', old.agent_id, old.id);
    return null;
end $$;
create trigger jobs_inserted after insert on jobs for each row execute function log_job();
create trigger jobs_updated after update of revision, enabled on jobs for each row
when (old.revision <> new.revision or old.enabled <> new.enabled) execute function log_job();
create trigger jobs_deleted after delete on jobs for each row execute function log_job_deleted();

create function log_run() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, agent_id, subject)
    select friend_id, 'run', agent_id, id from jobs where id = new.job_id;
    return null;
end $$;
create trigger runs_inserted after insert on runs for each row execute function log_run();
create trigger runs_updated after update of status on runs for each row
when (old.status <> new.status) execute function log_run();

create function log_session_ended() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, agent_id, subject)
    values (old.friend_id, 'session-ended', old.agent_id, old.id);
    return null;
end $$;
create trigger sessions_revoked after update of revoked_at on sessions for each row
when (old.revoked_at is null and new.revoked_at is not null) execute function log_session_ended();
create trigger sessions_deleted after delete on sessions for each row
when (old.revoked_at is null and old.expires_at > clock_timestamp() at time zone 'utc')
execute function log_session_ended();

create function log_friendship_ended() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, agent_id, subject)
    select friend_id, 'session-ended', agent_id, id from sessions
    where friend_id = new.friend_id and agent_id = new.agent_id and revoked_at is null;
    return null;
end $$;
create trigger friendships_ended after update of status on friendships for each row
when (old.status = 'active' and new.status <> 'active') execute function log_friendship_ended();
