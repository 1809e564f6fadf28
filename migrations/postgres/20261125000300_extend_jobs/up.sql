-- A job fires by cron, at one moment or at an interval; it remembers its newest runs; its changes are counted.
alter table jobs alter column cron drop not null;
alter table jobs drop constraint jobs_thinking_check;
alter table jobs add constraint jobs_thinking_check
    check (thinking in ('off', 'minimal', 'low', 'medium', 'high', 'xhigh'));
alter table jobs add column fires_at timestamp(3);
alter table jobs add column every_minutes integer check (every_minutes > 0);
alter table jobs add column answer_to text not null default 'nowhere' check (answer_to in ('chat', 'nowhere'));
alter table jobs add column revision integer not null default 1 check (revision > 0);
alter table jobs add column last_error text;
-- The newest runs that have ended, newest first, as JSON: [{"status", "due_at"}].
alter table jobs add column recent text not null default '[]';
alter table jobs add constraint jobs_one_timing check (num_nonnulls(cron, fires_at, every_minutes) = 1);
-- Jobs for one moment that are over, which are few.
create index jobs_spent on jobs (fires_at) where not enabled;

-- The newest release of the time zone database by which jobs were planned.
alter table portal add column time_zone_release text;
