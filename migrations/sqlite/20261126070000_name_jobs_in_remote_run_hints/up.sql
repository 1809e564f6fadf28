-- The hint about a run names its job, as it does for the portal's own jobs.
drop trigger remote_runs_inserted;
drop trigger remote_runs_ended;
create trigger remote_runs_inserted after insert on remote_runs begin
    insert into changes (friend_id, topic, agent_id, subject) values (new.friend_id, 'run', new.agent_id, new.job);
end;
create trigger remote_runs_ended after update of status on remote_runs when old.status <> new.status begin
    insert into changes (friend_id, topic, agent_id, subject) values (new.friend_id, 'run', new.agent_id, new.job);
end;
