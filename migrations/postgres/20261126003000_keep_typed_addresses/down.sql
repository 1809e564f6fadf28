alter table contacts drop column typed_address;
