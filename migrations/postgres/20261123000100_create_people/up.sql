-- The portal itself: the mark that its DNS records and routes carry.
create table portal (
    id       integer primary key not null check (id = 1),
    instance text not null check (length(instance) = 32)
);

create table friends (
    id                text collate "C" primary key not null check (length(id) between 1 and 40),
    display_name      text,
    preferred_channel text collate "C",
    time_zone         text,
    created_at        timestamp(3) not null
);

-- An address is never the id of a friend; whoever writes either looks at the other under one lock.
create table contacts (
    channel   text collate "C" not null,
    address   text collate "C" not null check (address = lower(address)),
    friend_id text collate "C" not null references friends (id) on delete cascade,
    primary key (channel, address)
);
create index contacts_friend_id on contacts (friend_id);
create index contacts_address on contacts (address);

create table agents (
    id         text collate "C" primary key not null check (length(id) between 1 and 64),
    token_hash text not null unique check (length(token_hash) = 64),
    created_at timestamp(3) not null
);

create table friendships (
    friend_id          text collate "C" not null references friends (id) on delete cascade,
    agent_id           text collate "C" not null references agents (id) on delete cascade,
    status             text not null check (status in ('active', 'inactive', 'blocked')),
    heartbeat_writable boolean not null,
    created_at         timestamp(3) not null,
    primary key (friend_id, agent_id)
);
create index friendships_agent_id on friendships (agent_id);

create table sessions (
    id         text collate "C" primary key not null,
    token_hash text not null unique check (length(token_hash) = 64),
    friend_id  text collate "C" not null references friends (id) on delete cascade,
    agent_id   text collate "C" not null references agents (id) on delete cascade,
    created_at timestamp(3) not null,
    expires_at timestamp(3) not null check (expires_at > created_at),
    revoked_at timestamp(3)
);
create index sessions_friend_id on sessions (friend_id);
create index sessions_agent_id on sessions (agent_id);
create index sessions_expires_at on sessions (expires_at);

-- Outlives what it tells of, hence no foreign keys.
create table audit_log (
    id        bigint generated always as identity primary key,
    at        timestamp(3) not null,
    actor     text not null,
    action    text collate "C" not null,
    friend_id text collate "C",
    subject   text not null,
    detail    text not null
);
create index audit_log_friend_id on audit_log (friend_id, id);
create index audit_log_at on audit_log (at);
