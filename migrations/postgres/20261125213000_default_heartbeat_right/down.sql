alter table friendships drop column heartbeat_default;
