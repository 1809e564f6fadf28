alter table jobs drop column fires_local;
