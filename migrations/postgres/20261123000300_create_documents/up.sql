-- One row per document that was ever written; whoever holds it may write.
create table documents (
    agent_id    text collate "C" not null references agents (id) on delete cascade,
    path        text collate "C" not null,
    friend_id   text collate "C" references friends (id) on delete cascade,
    lease_write text,
    lease_until timestamp(3),
    primary key (agent_id, path),
    check ((lease_write is null) = (lease_until is null))
);
create index documents_friend_id on documents (friend_id);
create index documents_lease_until on documents (lease_until);

-- The texts: at most one per document is pending. A row without a friend holds what an agent had written.
create table document_versions (
    id           text collate "C" primary key not null,
    agent_id     text collate "C" not null,
    path         text collate "C" not null,
    seq          bigint not null,
    state        text not null check (state in ('pending', 'kept')),
    tag          text not null check (length(tag) = 64),
    size         bigint not null check (size = length(bytes)),
    bytes        bytea not null,
    saved_at     timestamp(3) not null,
    friend_id    text collate "C" references friends (id) on delete cascade,
    session_id   text,
    burst_since  timestamp(3),
    replaces     text,
    previous_tag text,
    unique (agent_id, path, seq),
    foreign key (agent_id, path) references documents (agent_id, path) on delete cascade,
    check ((friend_id is null) = (session_id is null)),
    check ((friend_id is null) = (burst_since is null)),
    check (state = 'kept' or friend_id is not null)
);
create unique index document_versions_pending on document_versions (agent_id, path) where state = 'pending';
create index document_versions_friend_id on document_versions (friend_id);
