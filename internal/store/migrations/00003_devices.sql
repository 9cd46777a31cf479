-- +goose Up

-- One browser, known by a random secret in its cookie, which changes with every use.
CREATE TABLE devices (
	id      TEXT PRIMARY KEY,
	series  BYTEA NOT NULL UNIQUE,          -- hash of the part of the cookie that stays
	secret  BYTEA NOT NULL,                 -- hash of the part that changes
	next    BYTEA NOT NULL,                 -- hash of its successor, until the browser has shown that; empty: none
	next_at BIGINT NOT NULL,                -- when it was given out
	past    BYTEA NOT NULL,                 -- hash of its predecessor
	past_at BIGINT NOT NULL,                -- when that was replaced
	ends_at BIGINT NOT NULL,
	ended   TEXT NOT NULL                   -- why its cookie counts no more; empty: it does
);
CREATE INDEX devices_ends ON devices (ends_at);

-- Who has passed step two in a browser. It makes the browser known and skips nothing.
CREATE TABLE owners (
	device    TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
	account   TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	proved_at BIGINT NOT NULL,              -- when both steps were last taken there
	PRIMARY KEY (device, account)
);
CREATE INDEX owners_account ON owners (account);

-- One network from which a browser was verified for an account: what trust is decided by.
CREATE TABLE places (
	id          TEXT PRIMARY KEY,
	device      TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
	account     TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	epoch       BIGINT NOT NULL,            -- of the account; another one voids it
	body        BYTEA NOT NULL,             -- sealed: the network and the browser
	verified_at BIGINT NOT NULL,
	used_at     BIGINT NOT NULL,            -- when it last skipped step two; 0: never
	ended_at    BIGINT NOT NULL,
	ended       TEXT NOT NULL               -- why it ended early
);
CREATE INDEX places_device ON places (device, account);
CREATE INDEX places_account ON places (account);
CREATE INDEX places_verified ON places (verified_at);

-- What was decided about a right password, and by what: for its owner and the operator.
CREATE TABLE decisions (
	id      TEXT PRIMARY KEY,               -- the trace
	at      BIGINT NOT NULL,
	account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	device  TEXT NOT NULL,                  -- '' if the browser is not known
	reason  TEXT NOT NULL,
	body    BYTEA NOT NULL                  -- sealed: all that was looked at
);
CREATE INDEX decisions_account ON decisions (account, at);
CREATE INDEX decisions_at ON decisions (at);

ALTER TABLE signins ADD COLUMN hints TEXT NOT NULL DEFAULT '';
ALTER TABLE signins ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE signins ADD COLUMN other TEXT NOT NULL DEFAULT '';
ALTER TABLE signins ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE signins ADD COLUMN verified_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE signins ADD COLUMN trust BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sessions ADD COLUMN hints TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN trusted_at BIGINT NOT NULL DEFAULT 0;
