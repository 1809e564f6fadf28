-- Set where nobody has decided who may write HEARTBEAT.md: the friend may while the agent has no other active friend.
-- heartbeat_writable is not read then.
alter table friendships add column heartbeat_default boolean not null default false;
