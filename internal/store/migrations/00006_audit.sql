-- +goose Up

DROP TABLE IF EXISTS events;

-- Security events, written in the transaction of the act. Columns that do not apply hold ''.
CREATE TABLE audit_events (
	id          TEXT PRIMARY KEY,
	time        BIGINT NOT NULL,
	kind        TEXT NOT NULL,
	actor_type  TEXT NOT NULL,
	actor_id    TEXT NOT NULL,
	account     TEXT NOT NULL,                  -- the subject; '' if the name is unknown
	target      TEXT NOT NULL,                  -- 'factor:ID', 'session:ID', 'client:ID', 'device:ID'
	result      TEXT NOT NULL,                  -- 'success' or 'failure'
	reason      TEXT NOT NULL,
	client      TEXT NOT NULL,
	sign_in     TEXT NOT NULL,
	address     TEXT NOT NULL,
	browser     TEXT NOT NULL,
	trace       TEXT NOT NULL,
	occurrences BIGINT NOT NULL                 -- 1; more of 'events.omitted'
);
CREATE INDEX audit_events_account ON audit_events (account, time, id);
CREATE INDEX audit_events_time ON audit_events (time, id);
CREATE INDEX audit_events_kind ON audit_events (kind, time, id);
CREATE INDEX audit_events_address ON audit_events (address, time, id);

-- How many events were recorded in an hour of those that are limited: of a network, of an account, of the site.
CREATE TABLE audit_counters (
	scope   TEXT NOT NULL,
	ends_at BIGINT NOT NULL,
	used    BIGINT NOT NULL,
	PRIMARY KEY (scope, ends_at)
);
CREATE INDEX audit_counters_ends ON audit_counters (ends_at);
