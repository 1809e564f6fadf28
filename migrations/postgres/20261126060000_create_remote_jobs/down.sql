drop table remote_pauses;
drop table remote_runs;
drop table remote_changes;
drop function log_remote_run();
drop function log_remote_change();
