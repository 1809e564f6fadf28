-- Hints for event streams: what changed, not its content. Triggers write them, in the change's own transaction, so that
-- no change is without one, whoever makes it. Outlives what it tells of, hence no foreign keys.
create table changes (
    id        integer primary key autoincrement not null,
    at        timestamp not null default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    friend_id text not null,
    topic     text not null check (topic in ('exposure', 'document', 'job', 'run', 'session-ended')),
    agent_id  text,
    subject   text not null
);
create index changes_at on changes (at);
create index changes_friend_id on changes (friend_id, at);

create trigger exposures_inserted after insert on exposures begin
    insert into changes (friend_id, topic, subject) values (new.friend_id, 'exposure', new.name);
end;
-- Leases and retries change a row without changing what is shown.
create trigger exposures_updated
after update of generation, status, reason, route_done, record_done on exposures
when (old.generation, old.status, old.reason, old.route_done, old.record_done)
    is not (new.generation, new.status, new.reason, new.route_done, new.record_done)
begin
    insert into changes (friend_id, topic, subject) values (new.friend_id, 'exposure', new.name);
end;
create trigger exposures_deleted after delete on exposures begin
    insert into changes (friend_id, topic, subject) values (old.friend_id, 'exposure', old.name);
end;

create trigger document_versions_inserted after insert on document_versions when new.state = 'kept' begin
    insert into changes (friend_id, topic, agent_id, subject)
    select friend_id, 'document', new.agent_id, case new.path when 'HEARTBEAT.md' then 'heartbeat' else 'memory' end
    from friendships
    where agent_id = new.agent_id and status = 'active'
        and new.path in ('HEARTBEAT.md', 'friends/' || friend_id || '/MEMORY.md');
end;
create trigger document_versions_kept after update of state on document_versions
when old.state <> 'kept' and new.state = 'kept'
begin
    insert into changes (friend_id, topic, agent_id, subject)
    select friend_id, 'document', new.agent_id, case new.path when 'HEARTBEAT.md' then 'heartbeat' else 'memory' end
    from friendships
    where agent_id = new.agent_id and status = 'active'
        and new.path in ('HEARTBEAT.md', 'friends/' || friend_id || '/MEMORY.md');
end;

create trigger jobs_inserted after insert on jobs begin
    insert into changes (friend_id, topic, agent_id, subject) values (new.friend_id, 'job', new.agent_id, new.id);
end;
create trigger jobs_updated after update of revision, enabled on jobs
when old.revision <> new.revision or old.enabled <> new.enabled
begin
    insert into changes (friend_id, topic, agent_id, subject) values (new.friend_id, 'job', new.agent_id, new.id);
end;
create trigger jobs_deleted after delete on jobs begin
    insert into changes (friend_id, topic, agent_id, subject) values (old.friend_id, 'job', old.agent_id, old.id);
end;

create trigger runs_inserted after insert on runs begin
    insert into changes (friend_id, topic, agent_id, subject)
    select friend_id, 'run', agent_id, id from jobs where id = new.job_id;
end;
create trigger runs_updated after update of status on runs when old.status <> new.status begin
    insert into changes (friend_id, topic, agent_id, subject)
    select friend_id, 'run', agent_id, id from jobs where id = new.job_id;
end;

create trigger sessions_revoked after update of revoked_at on sessions
when old.revoked_at is null and new.revoked_at is not null
begin
    insert into changes (friend_id, topic, agent_id, subject)
    values (new.friend_id, 'session-ended', new.agent_id, new.id);
end;
create trigger sessions_deleted after delete on sessions
when old.revoked_at is null and old.expires_at > strftime('%Y-%m-%d %H:%M:%f', 'now')
begin
    insert into changes (friend_id, topic, agent_id, subject)
    values (old.friend_id, 'session-ended', old.agent_id, old.id);
end;
create trigger friendships_ended after update of status on friendships
when old.status = 'active' and new.status <> 'active'
begin
    insert into changes (friend_id, topic, agent_id, subject)
    select friend_id, 'session-ended', agent_id, id from sessions
    where friend_id = new.friend_id and agent_id = new.agent_id and revoked_at is null;
end;
