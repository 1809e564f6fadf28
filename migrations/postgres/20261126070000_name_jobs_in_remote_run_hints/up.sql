-- The hint about a run names its job, as it does for the portal's own jobs.
create or replace function log_remote_run() returns trigger language plpgsql as $$
begin
    insert into changes (friend_id, topic, agent_id, subject) values (new.friend_id, 'run', new.agent_id, new.job);
    return null;
end $$;
