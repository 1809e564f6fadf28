alter table sessions drop column origin;
drop table login_codes;
