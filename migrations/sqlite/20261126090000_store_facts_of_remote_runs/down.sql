alter table remote_runs drop column sent;
alter table remote_runs drop column finished;
