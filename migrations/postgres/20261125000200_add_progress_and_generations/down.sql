alter table tombstones drop column generation;
alter table exposures drop column record_done;
alter table exposures drop column route_done;
