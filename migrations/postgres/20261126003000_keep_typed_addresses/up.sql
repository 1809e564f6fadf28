-- The address as the operator typed it: the agent's answers are sent there, and some channels tell upper from lower case.
-- Null for contacts that were stored before.
alter table contacts add column typed_address text;
