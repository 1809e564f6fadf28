-- The tables and rows of the first release, as pg_dump --inserts wrote them.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.__diesel_schema_migrations (
    version character varying(50) NOT NULL,
    run_on timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
CREATE TABLE public.agents (
    id text NOT NULL COLLATE pg_catalog."C",
    token_hash text NOT NULL,
    created_at timestamp(3) without time zone NOT NULL,
    CONSTRAINT agents_id_check CHECK (((length(id) >= 1) AND (length(id) <= 64))),
    CONSTRAINT agents_token_hash_check CHECK ((length(token_hash) = 64))
);
CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    at timestamp(3) without time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL COLLATE pg_catalog."C",
    friend_id text COLLATE pg_catalog."C",
    subject text NOT NULL,
    detail text NOT NULL
);
ALTER TABLE public.audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.contacts (
    channel text NOT NULL COLLATE pg_catalog."C",
    address text NOT NULL COLLATE pg_catalog."C",
    friend_id text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT contacts_address_check CHECK ((address = lower(address)))
);
CREATE TABLE public.document_versions (
    id text NOT NULL COLLATE pg_catalog."C",
    agent_id text NOT NULL COLLATE pg_catalog."C",
    path text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    state text NOT NULL,
    tag text NOT NULL,
    size bigint NOT NULL,
    bytes bytea NOT NULL,
    saved_at timestamp(3) without time zone NOT NULL,
    friend_id text COLLATE pg_catalog."C",
    session_id text,
    burst_since timestamp(3) without time zone,
    replaces text,
    previous_tag text,
    CONSTRAINT document_versions_check CHECK ((size = length(bytes))),
    CONSTRAINT document_versions_check1 CHECK (((friend_id IS NULL) = (session_id IS NULL))),
    CONSTRAINT document_versions_check2 CHECK (((friend_id IS NULL) = (burst_since IS NULL))),
    CONSTRAINT document_versions_check3 CHECK (((state = 'kept'::text) OR (friend_id IS NOT NULL))),
    CONSTRAINT document_versions_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'kept'::text]))),
    CONSTRAINT document_versions_tag_check CHECK ((length(tag) = 64))
);
CREATE TABLE public.documents (
    agent_id text NOT NULL COLLATE pg_catalog."C",
    path text NOT NULL COLLATE pg_catalog."C",
    friend_id text COLLATE pg_catalog."C",
    lease_write text,
    lease_until timestamp(3) without time zone,
    CONSTRAINT documents_check CHECK (((lease_write IS NULL) = (lease_until IS NULL)))
);
CREATE TABLE public.exposures (
    id text NOT NULL COLLATE pg_catalog."C",
    friend_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    service text NOT NULL,
    port integer NOT NULL,
    domain text NOT NULL,
    desired text NOT NULL,
    status text NOT NULL,
    reason text,
    generation bigint NOT NULL,
    established boolean NOT NULL,
    attempts integer NOT NULL,
    next_attempt_at timestamp(3) without time zone NOT NULL,
    lease_token text,
    lease_until timestamp(3) without time zone,
    created_at timestamp(3) without time zone NOT NULL,
    changed_at timestamp(3) without time zone NOT NULL,
    CONSTRAINT exposures_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT exposures_check CHECK (((desired = 'absent'::text) = (status = 'removing'::text))),
    CONSTRAINT exposures_check1 CHECK (((status = 'active'::text) = (reason IS NULL))),
    CONSTRAINT exposures_check2 CHECK (((lease_token IS NULL) = (lease_until IS NULL))),
    CONSTRAINT exposures_desired_check CHECK ((desired = ANY (ARRAY['present'::text, 'absent'::text]))),
    CONSTRAINT exposures_domain_check CHECK ((domain = lower(domain))),
    CONSTRAINT exposures_generation_check CHECK ((generation > 0)),
    CONSTRAINT exposures_id_check CHECK ((length(id) = 32)),
    CONSTRAINT exposures_name_check CHECK (((length(name) >= 1) AND (length(name) <= 20))),
    CONSTRAINT exposures_port_check CHECK (((port >= 1) AND (port <= 65535))),
    CONSTRAINT exposures_service_check CHECK (((length(service) >= 1) AND (length(service) <= 63))),
    CONSTRAINT exposures_status_check CHECK ((status = ANY (ARRAY['active'::text, 'pending'::text, 'removing'::text, 'failed'::text])))
);
CREATE TABLE public.friends (
    id text NOT NULL COLLATE pg_catalog."C",
    display_name text,
    preferred_channel text COLLATE pg_catalog."C",
    time_zone text,
    created_at timestamp(3) without time zone NOT NULL,
    CONSTRAINT friends_id_check CHECK (((length(id) >= 1) AND (length(id) <= 40)))
);
CREATE TABLE public.friendships (
    friend_id text NOT NULL COLLATE pg_catalog."C",
    agent_id text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL,
    heartbeat_writable boolean NOT NULL,
    created_at timestamp(3) without time zone NOT NULL,
    CONSTRAINT friendships_status_check CHECK ((status = ANY (ARRAY['active'::text, 'inactive'::text, 'blocked'::text])))
);
CREATE TABLE public.hostnames (
    hostname text NOT NULL COLLATE pg_catalog."C",
    exposure_id text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL,
    CONSTRAINT hostnames_hostname_check CHECK ((hostname = lower(hostname))),
    CONSTRAINT hostnames_role_check CHECK ((role = ANY (ARRAY['wanted'::text, 'leaving'::text])))
);
CREATE TABLE public.jobs (
    id text NOT NULL COLLATE pg_catalog."C",
    friend_id text NOT NULL COLLATE pg_catalog."C",
    agent_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    description text,
    message text NOT NULL,
    cron text NOT NULL,
    tz text NOT NULL,
    session text NOT NULL,
    thinking text,
    timeout_seconds integer,
    enabled boolean NOT NULL,
    created_at timestamp(3) without time zone NOT NULL,
    next_due timestamp(3) without time zone,
    last_run_at timestamp(3) without time zone,
    last_status text,
    consecutive_errors integer NOT NULL,
    CONSTRAINT jobs_check CHECK ((enabled OR (next_due IS NULL))),
    CONSTRAINT jobs_consecutive_errors_check CHECK ((consecutive_errors >= 0)),
    CONSTRAINT jobs_last_status_check CHECK ((last_status = ANY (ARRAY['delivered'::text, 'failed'::text, 'missed'::text]))),
    CONSTRAINT jobs_message_check CHECK ((message <> ''::text)),
    CONSTRAINT jobs_name_check CHECK (((length(name) >= 1) AND (length(name) <= 64))),
    CONSTRAINT jobs_thinking_check CHECK ((thinking = ANY (ARRAY['off'::text, 'low'::text, 'medium'::text, 'high'::text]))),
    CONSTRAINT jobs_timeout_seconds_check CHECK (((timeout_seconds >= 1) AND (timeout_seconds <= 3600)))
);
CREATE TABLE public.portal (
    id integer NOT NULL,
    instance text NOT NULL,
    CONSTRAINT portal_id_check CHECK ((id = 1)),
    CONSTRAINT portal_instance_check CHECK ((length(instance) = 32))
);
CREATE TABLE public.runs (
    id text NOT NULL COLLATE pg_catalog."C",
    job_id text NOT NULL COLLATE pg_catalog."C",
    cause text NOT NULL,
    due_at timestamp(3) without time zone NOT NULL,
    status text NOT NULL,
    attempts integer NOT NULL,
    claimable_at timestamp(3) without time zone NOT NULL,
    started_at timestamp(3) without time zone,
    finished_at timestamp(3) without time zone,
    error text,
    missed_from timestamp(3) without time zone,
    missed_count integer,
    CONSTRAINT runs_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT runs_cause_check CHECK ((cause = ANY (ARRAY['schedule'::text, 'manual'::text]))),
    CONSTRAINT runs_check CHECK (((finished_at IS NOT NULL) = (status = ANY (ARRAY['delivered'::text, 'failed'::text, 'missed'::text])))),
    CONSTRAINT runs_check1 CHECK (((missed_from IS NOT NULL) = (status = 'missed'::text))),
    CONSTRAINT runs_check2 CHECK (((missed_from IS NULL) = (missed_count IS NULL))),
    CONSTRAINT runs_missed_count_check CHECK ((missed_count > 0)),
    CONSTRAINT runs_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'retrying'::text, 'delivered'::text, 'failed'::text, 'missed'::text])))
);
CREATE TABLE public.sessions (
    id text NOT NULL COLLATE pg_catalog."C",
    token_hash text NOT NULL,
    friend_id text NOT NULL COLLATE pg_catalog."C",
    agent_id text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp(3) without time zone NOT NULL,
    expires_at timestamp(3) without time zone NOT NULL,
    revoked_at timestamp(3) without time zone,
    CONSTRAINT sessions_check CHECK ((expires_at > created_at)),
    CONSTRAINT sessions_token_hash_check CHECK ((length(token_hash) = 64))
);
CREATE TABLE public.tombstones (
    exposure_id text NOT NULL COLLATE pg_catalog."C",
    hostname text NOT NULL COLLATE pg_catalog."C",
    friend_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    parted text NOT NULL,
    at timestamp(3) without time zone NOT NULL,
    CONSTRAINT tombstones_exposure_id_check CHECK ((length(exposure_id) = 32)),
    CONSTRAINT tombstones_hostname_check CHECK ((hostname = lower(hostname))),
    CONSTRAINT tombstones_parted_check CHECK ((parted = ANY (ARRAY['moved'::text, 'ended'::text])))
);
INSERT INTO public.__diesel_schema_migrations VALUES ('20261123000100', '2026-11-23 09:00:00');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261123000200', '2026-11-23 09:00:00');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261123000300', '2026-11-23 09:00:00');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261123000400', '2026-11-23 09:00:00');
INSERT INTO public.agents VALUES ('main', '6f010f392843c1a56f2e42d13e8660558d7de3544fe6cf4082d41250d5ad4278', '2026-11-01 08:30:00');
INSERT INTO public.audit_log OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-01 08:30:00', 'operator:root', 'friend.create', 'alice', 'alice', '');
INSERT INTO public.audit_log OVERRIDING SYSTEM VALUE VALUES (2, '2026-11-21 08:30:00', 'friend:alice', 'exposure.open', 'alice', 'web', '');
INSERT INTO public.contacts VALUES ('telegram', '12345', 'alice');
INSERT INTO public.document_versions VALUES ('version-1', 'main', 'friends/alice/MEMORY.md', 1, 'kept', 'a1ddaad5fa466a6cc821b24045d5e8f41afbe37b5b908ad6e67b6104bd7ff5b9', 20, '\x7772697474656e20627920746865206167656e74', '2026-11-20 08:30:00', NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.document_versions VALUES ('version-2', 'main', 'friends/alice/MEMORY.md', 2, 'kept', '2118124f52a81605b64607a5bdb80ff496dd550ac84c5ce2aa70d1291bcd1877', 17, '\x7772697474656e20627920c3a46c696365', '2026-11-21 08:30:00', 'alice', 'session-1', '2026-11-21 08:30:00', NULL, NULL);
INSERT INTO public.document_versions VALUES ('write-1', 'main', 'HEARTBEAT.md', 1, 'pending', '2fa190f0f1e1b13919a9c7250bcb16a094e8034632a1e6551420faac47a4a851', 15, '\x23204576657279206d6f726e696e67', '2026-11-22 08:30:00', 'alice', 'session-1', '2026-11-22 08:30:00', NULL, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
INSERT INTO public.documents VALUES ('main', 'friends/alice/MEMORY.md', 'alice', NULL, NULL);
INSERT INTO public.documents VALUES ('main', 'HEARTBEAT.md', NULL, 'write-1', '2026-11-22 08:30:00');
INSERT INTO public.exposures VALUES ('11111111111111111111111111111111', 'alice', 'web', 'my-app', 80, 'your-domain.net', 'present', 'active', NULL, 3, true, 0, '2026-11-21 08:30:00', NULL, NULL, '2026-11-21 08:30:00', '2026-11-21 08:30:01');
INSERT INTO public.exposures VALUES ('22222222222222222222222222222222', 'alice', 'api', 'my-api', 8080, 'your-domain.net', 'present', 'failed', 'service-missing', 1, false, 4, '2026-11-21 08:30:00', NULL, NULL, '2026-11-21 08:30:00', '2026-11-21 08:30:02');
INSERT INTO public.exposures VALUES ('33333333333333333333333333333333', 'alice', 'old', 'my-app', 80, 'your-domain.net', 'absent', 'removing', 'in-progress', 5, true, 0, '2026-11-21 08:30:00', NULL, NULL, '2026-11-21 08:30:00', '2026-11-21 08:30:03');
INSERT INTO public.friends VALUES ('alice', 'Alice Example', 'telegram', 'Europe/Berlin', '2026-11-01 08:30:00');
INSERT INTO public.friends VALUES ('bob', NULL, NULL, NULL, '2026-11-02 08:30:00');
INSERT INTO public.friendships VALUES ('alice', 'main', 'active', true, '2026-11-01 08:30:00');
INSERT INTO public.friendships VALUES ('bob', 'main', 'blocked', false, '2026-11-02 08:30:00');
INSERT INTO public.hostnames VALUES ('web-alice.your-domain.net', '11111111111111111111111111111111', 'wanted');
INSERT INTO public.hostnames VALUES ('api-alice.your-domain.net', '22222222222222222222222222222222', 'wanted');
INSERT INTO public.hostnames VALUES ('old-alice.your-domain.net', '33333333333333333333333333333333', 'wanted');
INSERT INTO public.hostnames VALUES ('web-alice.other-domain.net', '11111111111111111111111111111111', 'leaving');
INSERT INTO public.jobs VALUES ('job-1', 'alice', 'main', 'morning', 'A job', 'Check my portfolio', '0 9 * * *', 'Europe/Berlin', 'isolated', 'low', 600, true, '2026-11-20 08:30:00', '2026-11-23 08:00:00', '2026-11-22 08:00:01', 'delivered', 0);
INSERT INTO public.jobs VALUES ('job-2', 'alice', 'main', 'weekly', NULL, 'Check my portfolio', '0 18 * * 5', 'UTC', 'isolated', NULL, NULL, false, '2026-11-20 08:30:00', NULL, NULL, 'failed', 3);
INSERT INTO public.portal VALUES (1, '5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a');
INSERT INTO public.runs VALUES ('run-1', 'job-1', 'schedule', '2026-11-22 08:00:00', 'delivered', 1, '2026-11-22 08:01:00', '2026-11-22 08:00:01', '2026-11-22 08:00:02', NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('run-2', 'job-1', 'schedule', '2026-11-21 08:00:00', 'missed', 0, '2026-11-22 07:00:00', NULL, '2026-11-22 07:00:00', NULL, '2026-11-20 08:00:00', 2);
INSERT INTO public.runs VALUES ('run-3', 'job-2', 'schedule', '2026-11-20 18:00:00', 'failed', 5, '2026-11-20 19:00:00', '2026-11-20 18:00:01', '2026-11-20 19:00:00', 'the receiver answered 500', NULL, NULL);
INSERT INTO public.runs VALUES ('run-4', 'job-2', 'manual', '2026-11-22 10:00:00', 'retrying', 2, '2026-11-22 10:05:00', '2026-11-22 10:00:01', NULL, 'the receiver answered 503', NULL, NULL);
INSERT INTO public.sessions VALUES ('session-1', 'bf90ef0fbe20605d38e713824feb73e5fe503d79da2b2633155b584102a8b71b', 'alice', 'main', '2026-11-20 08:30:00', '2026-12-20 08:30:00', NULL);
INSERT INTO public.sessions VALUES ('session-2', 'c8940ca82883266de2b8ca83392bd83d3151e91d1e111951ed45a05c4403c0e3', 'bob', 'main', '2026-11-10 08:30:00', '2026-12-10 08:30:00', '2026-11-11 08:30:00');
INSERT INTO public.tombstones VALUES ('44444444444444444444444444444444', 'gone-alice.your-domain.net', 'alice', 'gone', 'ended', '2026-11-22 08:30:00');
INSERT INTO public.tombstones VALUES ('11111111111111111111111111111111', 'web-alice.third-domain.net', 'alice', 'web', 'moved', '2026-11-22 08:30:00');
SELECT pg_catalog.setval('public.audit_log_id_seq', 2, true);
ALTER TABLE ONLY public.__diesel_schema_migrations
    ADD CONSTRAINT __diesel_schema_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.agents
    ADD CONSTRAINT agents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.agents
    ADD CONSTRAINT agents_token_hash_key UNIQUE (token_hash);
ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT contacts_pkey PRIMARY KEY (channel, address);
ALTER TABLE ONLY public.document_versions
    ADD CONSTRAINT document_versions_agent_id_path_seq_key UNIQUE (agent_id, path, seq);
ALTER TABLE ONLY public.document_versions
    ADD CONSTRAINT document_versions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (agent_id, path);
ALTER TABLE ONLY public.exposures
    ADD CONSTRAINT exposures_friend_id_name_key UNIQUE (friend_id, name);
ALTER TABLE ONLY public.exposures
    ADD CONSTRAINT exposures_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.friends
    ADD CONSTRAINT friends_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.friendships
    ADD CONSTRAINT friendships_pkey PRIMARY KEY (friend_id, agent_id);
ALTER TABLE ONLY public.hostnames
    ADD CONSTRAINT hostnames_pkey PRIMARY KEY (hostname);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_friend_id_agent_id_name_key UNIQUE (friend_id, agent_id, name);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.portal
    ADD CONSTRAINT portal_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_token_hash_key UNIQUE (token_hash);
ALTER TABLE ONLY public.tombstones
    ADD CONSTRAINT tombstones_pkey PRIMARY KEY (exposure_id, hostname);
CREATE INDEX audit_log_at ON public.audit_log USING btree (at);
CREATE INDEX audit_log_friend_id ON public.audit_log USING btree (friend_id, id);
CREATE INDEX contacts_address ON public.contacts USING btree (address);
CREATE INDEX contacts_friend_id ON public.contacts USING btree (friend_id);
CREATE INDEX document_versions_friend_id ON public.document_versions USING btree (friend_id);
CREATE UNIQUE INDEX document_versions_pending ON public.document_versions USING btree (agent_id, path) WHERE (state = 'pending'::text);
CREATE INDEX documents_friend_id ON public.documents USING btree (friend_id);
CREATE INDEX documents_lease_until ON public.documents USING btree (lease_until);
CREATE INDEX exposures_changed_at ON public.exposures USING btree (changed_at);
CREATE INDEX exposures_status ON public.exposures USING btree (status, next_attempt_at);
CREATE INDEX friendships_agent_id ON public.friendships USING btree (agent_id);
CREATE INDEX hostnames_exposure_id ON public.hostnames USING btree (exposure_id);
CREATE UNIQUE INDEX hostnames_wanted ON public.hostnames USING btree (exposure_id) WHERE (role = 'wanted'::text);
CREATE INDEX jobs_next_due ON public.jobs USING btree (next_due);
CREATE INDEX runs_claimable_at ON public.runs USING btree (claimable_at) WHERE (finished_at IS NULL);
CREATE INDEX runs_finished_at ON public.runs USING btree (finished_at);
CREATE UNIQUE INDEX runs_instant ON public.runs USING btree (job_id, due_at) WHERE (cause = 'schedule'::text);
CREATE INDEX runs_job_id ON public.runs USING btree (job_id, due_at);
CREATE UNIQUE INDEX runs_open ON public.runs USING btree (job_id) WHERE (finished_at IS NULL);
CREATE INDEX sessions_agent_id ON public.sessions USING btree (agent_id);
CREATE INDEX sessions_expires_at ON public.sessions USING btree (expires_at);
CREATE INDEX sessions_friend_id ON public.sessions USING btree (friend_id);
CREATE INDEX tombstones_at ON public.tombstones USING btree (at);
CREATE INDEX tombstones_friend_id ON public.tombstones USING btree (friend_id, name);
CREATE INDEX tombstones_hostname ON public.tombstones USING btree (hostname);
ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT contacts_friend_id_fkey FOREIGN KEY (friend_id) REFERENCES public.friends(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.document_versions
    ADD CONSTRAINT document_versions_agent_id_path_fkey FOREIGN KEY (agent_id, path) REFERENCES public.documents(agent_id, path) ON DELETE CASCADE;
ALTER TABLE ONLY public.document_versions
    ADD CONSTRAINT document_versions_friend_id_fkey FOREIGN KEY (friend_id) REFERENCES public.friends(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES public.agents(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_friend_id_fkey FOREIGN KEY (friend_id) REFERENCES public.friends(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.exposures
    ADD CONSTRAINT exposures_friend_id_fkey FOREIGN KEY (friend_id) REFERENCES public.friends(id);
ALTER TABLE ONLY public.friendships
    ADD CONSTRAINT friendships_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES public.agents(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.friendships
    ADD CONSTRAINT friendships_friend_id_fkey FOREIGN KEY (friend_id) REFERENCES public.friends(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.hostnames
    ADD CONSTRAINT hostnames_exposure_id_fkey FOREIGN KEY (exposure_id) REFERENCES public.exposures(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_friend_id_agent_id_fkey FOREIGN KEY (friend_id, agent_id) REFERENCES public.friendships(friend_id, agent_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES public.agents(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_friend_id_fkey FOREIGN KEY (friend_id) REFERENCES public.friends(id) ON DELETE CASCADE;
