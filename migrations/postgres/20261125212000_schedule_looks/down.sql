drop index documents_look_at;
alter table documents drop column look_at;
