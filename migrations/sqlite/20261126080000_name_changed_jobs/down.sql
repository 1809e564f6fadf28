drop trigger remote_changes_ended;
create trigger remote_changes_ended after delete on remote_changes begin
    insert into changes (friend_id, topic, agent_id, subject) values (old.friend_id, 'job', old.agent_id, old.job);
end;
alter table remote_changes drop column job_id;
