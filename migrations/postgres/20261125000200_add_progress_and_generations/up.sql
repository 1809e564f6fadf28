-- Parts of an exposure that are as desired. Only what is active is known to have both.
alter table exposures add column route_done boolean not null default false;
alter table exposures add column record_done boolean not null default false;
update exposures set route_done = true, record_done = true where status = 'active';

-- The next life of a name goes on from here.
alter table tombstones add column generation bigint not null default 0 check (generation >= 0);
