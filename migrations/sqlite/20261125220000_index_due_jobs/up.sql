-- The open run of a job, if any. It repeats what `runs` says, so that jobs whose run is open, however many, need not be
-- looked at to find those that are due.
alter table jobs add column open_run text;
update jobs set open_run = (select id from runs where runs.job_id = jobs.id and runs.finished_at is null);
drop index jobs_next_due;
create index jobs_due on jobs (next_due, id) where open_run is null;
