pragma foreign_keys = on;
begin immediate;

create temporary table crowd as
with recursive numbers (number) as (select 1 union all select number + 1 from numbers where number < FRIENDS)
select 'crowd-' || number as id, number from numbers;

insert into friends (id, display_name, preferred_channel, time_zone, created_at)
select id, 'Friend ' || number, 'signal', 'Europe/Berlin', current_timestamp from crowd;

insert into contacts (channel, address, friend_id)
select 'signal', 'address-of-' || id, id from crowd;

insert into friendships (friend_id, agent_id, status, heartbeat_writable, created_at)
select id, 'main', 'active', true, current_timestamp from crowd;

insert into sessions (id, token_hash, friend_id, agent_id, created_at, expires_at)
select lower(hex(randomblob(16))), lower(hex(randomblob(32))), id, 'main', current_timestamp, datetime('now', '+30 days')
from crowd;

commit;
