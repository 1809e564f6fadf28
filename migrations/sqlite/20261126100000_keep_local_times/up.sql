-- The time of a job that fires once, where it was given by the clock of its time zone: newer rules may put it at another
-- moment. `fires_at` is the moment by the rules with which the job was planned.
alter table jobs add column fires_local text;
