drop table tombstones;
drop table hostnames;
drop table exposures;
