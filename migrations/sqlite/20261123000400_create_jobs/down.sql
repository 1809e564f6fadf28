drop table runs;
drop table jobs;
