-- +goose Up

-- An app that an operator added; those of the configuration file are not here.
CREATE TABLE apps (
	id      TEXT PRIMARY KEY,
	body    TEXT NOT NULL,                  -- what it may do, JSON
	made_at BIGINT NOT NULL
);

-- What an app asks for, until the person has answered.
CREATE TABLE requests (
	id      BYTEA PRIMARY KEY,              -- hash
	app     TEXT NOT NULL,
	body    TEXT NOT NULL,                  -- JSON
	pushed  BOOLEAN NOT NULL,               -- by the app itself, and not used yet
	acted   BOOLEAN NOT NULL,               -- the person was sent to their settings for it
	made_at BIGINT NOT NULL,
	ends_at BIGINT NOT NULL
);
CREATE INDEX requests_ends ON requests (ends_at);

-- What an app was allowed: its code, and the tokens that come of it.
CREATE TABLE grants (
	id              TEXT PRIMARY KEY,
	app             TEXT NOT NULL,
	account         TEXT NOT NULL,          -- '': the app itself
	epoch           BIGINT NOT NULL,
	session         TEXT NOT NULL,          -- in which it was allowed
	session_ends_at BIGINT NOT NULL,
	scope           TEXT NOT NULL,
	body            TEXT NOT NULL,          -- what the code is bound to, JSON
	amr             TEXT NOT NULL,
	proved_at       BIGINT NOT NULL,        -- the newest full proof
	offline         BOOLEAN NOT NULL,       -- it outlives the session
	code            BYTEA NOT NULL UNIQUE,  -- hash
	code_ends_at    BIGINT NOT NULL,
	code_used_at    BIGINT NOT NULL,
	began_at        BIGINT NOT NULL,
	ends_at         BIGINT NOT NULL,
	ended_at        BIGINT NOT NULL,
	told_at         BIGINT NOT NULL,        -- the app was told that the session is over
	tell_after      BIGINT NOT NULL         -- somebody is telling it until then
);
CREATE INDEX grants_account ON grants (account, app);
CREATE INDEX grants_session ON grants (session);
CREATE INDEX grants_untold ON grants (told_at, session_ends_at);
CREATE INDEX grants_ends ON grants (ends_at);

CREATE TABLE tokens (
	token    BYTEA PRIMARY KEY,             -- hash
	of_grant TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
	kind     TEXT NOT NULL,                 -- access, refresh, host
	made_at  BIGINT NOT NULL,
	ends_at  BIGINT NOT NULL,
	used_at  BIGINT NOT NULL                -- a refresh token works once
);
CREATE INDEX tokens_grant ON tokens (of_grant);
CREATE INDEX tokens_ends ON tokens (ends_at);

-- What a person has allowed an app of somebody else's.
CREATE TABLE consents (
	account TEXT NOT NULL,
	app     TEXT NOT NULL,
	scope   TEXT NOT NULL,
	at      BIGINT NOT NULL,
	PRIMARY KEY (account, app)
);

-- With what tokens are signed.
CREATE TABLE signing_keys (
	id        TEXT PRIMARY KEY,
	algorithm TEXT NOT NULL,
	body      BYTEA NOT NULL,               -- sealed
	made_at   BIGINT NOT NULL
);

ALTER TABLE signins ADD COLUMN level BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN member_of TEXT NOT NULL DEFAULT '';
