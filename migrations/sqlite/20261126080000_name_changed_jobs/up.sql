-- A job that is being made in a gateway has no id yet, and its change is held by its name. Once it has one, the hint names it.
alter table remote_changes add column job_id text;
drop trigger remote_changes_ended;
create trigger remote_changes_ended after delete on remote_changes begin
    insert into changes (friend_id, topic, agent_id, subject)
    values (old.friend_id, 'job', old.agent_id, coalesce(old.job_id, old.job));
end;
