-- The single-use codes of login links: only their SHA-256.
create table login_codes (
    code_hash  text primary key not null check (length(code_hash) = 64),
    friend_id  text collate "C" not null references friends (id) on delete cascade,
    agent_id   text collate "C" not null references agents (id) on delete cascade,
    created_at timestamp(3) not null,
    expires_at timestamp(3) not null check (expires_at > created_at),
    spent_at   timestamp(3),
    open       text,
    created_by text not null
);
create index login_codes_friend_id on login_codes (friend_id);
create index login_codes_agent_id on login_codes (agent_id);
create index login_codes_expires_at on login_codes (expires_at);

-- The way a session began: a link of its agent, or the operator. Null for sessions of before.
alter table sessions add column origin text check (origin in ('link', 'operator'));
