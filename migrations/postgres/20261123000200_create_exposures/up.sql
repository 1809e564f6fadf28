create table exposures (
    id              text collate "C" primary key not null check (length(id) = 32),
    friend_id       text collate "C" not null references friends (id),
    name            text collate "C" not null check (length(name) between 1 and 20),
    service         text not null check (length(service) between 1 and 63),
    port            integer not null check (port between 1 and 65535),
    domain          text not null check (domain = lower(domain)),
    desired         text not null check (desired in ('present', 'absent')),
    status          text not null check (status in ('active', 'pending', 'removing', 'failed')),
    reason          text,
    generation      bigint not null check (generation > 0),
    established     boolean not null,
    attempts        integer not null check (attempts >= 0),
    next_attempt_at timestamp(3) not null,
    lease_token     text,
    lease_until     timestamp(3),
    created_at      timestamp(3) not null,
    changed_at      timestamp(3) not null,
    unique (friend_id, name),
    check ((desired = 'absent') = (status = 'removing')),
    check ((status = 'active') = (reason is null)),
    check ((lease_token is null) = (lease_until is null))
);
create index exposures_status on exposures (status, next_attempt_at);
create index exposures_changed_at on exposures (changed_at);

-- A hostname has one owner from before the first record or route is made until after the last one is gone. Checked at
-- the end of the transaction: the hostname is taken before the exposure is written.
create table hostnames (
    hostname    text collate "C" primary key not null check (hostname = lower(hostname)),
    exposure_id text collate "C" not null references exposures (id) on delete cascade deferrable initially deferred,
    role        text not null check (role in ('wanted', 'leaving'))
);
create index hostnames_exposure_id on hostnames (exposure_id);
create unique index hostnames_wanted on hostnames (exposure_id) where role = 'wanted';

-- Outlives what it remembers, hence no foreign keys.
create table tombstones (
    exposure_id text collate "C" not null check (length(exposure_id) = 32),
    hostname    text collate "C" not null check (hostname = lower(hostname)),
    friend_id   text collate "C" not null,
    name        text collate "C" not null,
    parted      text not null check (parted in ('moved', 'ended')),
    at          timestamp(3) not null,
    primary key (exposure_id, hostname)
);
create index tombstones_hostname on tombstones (hostname);
create index tombstones_friend_id on tombstones (friend_id, name);
create index tombstones_at on tombstones (at);
