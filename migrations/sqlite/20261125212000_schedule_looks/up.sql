-- When the files that saves have displaced are looked at next; null where there are none.
alter table documents add column look_at timestamp;
create index documents_look_at on documents (look_at) where look_at is not null;
