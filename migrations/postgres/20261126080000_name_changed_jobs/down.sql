create or replace function log_remote_change() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, agent_id, subject) values (old.friend_id, 'job', old.agent_id, old.job);
    return null;
end $$;
alter table remote_changes drop column job_id;
