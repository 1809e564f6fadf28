-- The end of the agent's work, and the delivery of its answer; null where it is not known.
alter table remote_runs add column finished boolean;
alter table remote_runs add column sent text check (sent in ('sent', 'pending', 'silent', 'nowhere'));
-- The status of a run that has ended says whether the agent finished, unless the gateway skipped the run.
update remote_runs set finished = (status = 'delivered')
where status = 'delivered' or (status = 'failed' and error <> 'the agent''s gateway skipped this run');
