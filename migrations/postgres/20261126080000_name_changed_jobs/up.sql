-- A job that is being made in a gateway has no id yet, and its change is held by its name. Once it has one, the hint names it.
alter table remote_changes add column job_id text;
create or replace function log_remote_change() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, agent_id, subject)
    values (old.friend_id, 'job', old.agent_id, coalesce(old.job_id, old.job));
    return null;
end $$;
