-- +goose Up

-- One thing an account enrolled: an app, a number, a set of printed codes.
CREATE TABLE factors (
	id       TEXT PRIMARY KEY,
	account  TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	method   TEXT NOT NULL,
	slot     BIGINT NOT NULL,               -- 0 and up: an account has so many of a method and no more
	body     BYTEA NOT NULL,                -- sealed: where it is and what it is compared with
	version  BIGINT NOT NULL,               -- raised with every change of the body
	added_at BIGINT NOT NULL,
	used_at  BIGINT NOT NULL
);
CREATE UNIQUE INDEX factors_account ON factors (account, method, slot);

-- What a sign-in is for: a new session, another proof for one that exists, or the
-- proof of a factor that is not enrolled yet.
ALTER TABLE signins ADD COLUMN purpose TEXT NOT NULL DEFAULT 'signin';
ALTER TABLE signins ADD COLUMN session TEXT NOT NULL DEFAULT '';

-- A factor that is not proven yet.
CREATE TABLE drafts (
	signin  TEXT PRIMARY KEY REFERENCES signins (id) ON DELETE CASCADE,
	session TEXT NOT NULL,
	method  TEXT NOT NULL,
	seen    BOOLEAN NOT NULL,               -- it needs no proof but that the person has seen it
	body    BYTEA NOT NULL                  -- sealed
);
CREATE UNIQUE INDEX drafts_session ON drafts (session, method);

-- How much of a ration is used in one window of time.
CREATE TABLE rations (
	name    TEXT NOT NULL,                  -- whose, and of what
	ends_at BIGINT NOT NULL,
	used    BIGINT NOT NULL,
	PRIMARY KEY (name, ends_at)
);
CREATE INDEX rations_ends ON rations (ends_at);
