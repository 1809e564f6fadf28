drop table document_versions;
drop table documents;
