drop index jobs_due;
create index jobs_next_due on jobs (next_due);
alter table jobs drop column open_run;
