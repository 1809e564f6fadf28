drop table remote_pauses;
drop table remote_runs;
drop table remote_changes;
