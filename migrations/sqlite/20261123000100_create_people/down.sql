drop table audit_log;
drop table sessions;
drop table friendships;
drop table agents;
drop table contacts;
drop table friends;
drop table portal;
