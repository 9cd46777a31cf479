-- +goose Up

-- Facts about this database itself.
CREATE TABLE marks (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
);

-- One login: an email address and a password.
CREATE TABLE accounts (
	id          TEXT PRIMARY KEY,
	email       TEXT NOT NULL UNIQUE,       -- canonical form
	name        TEXT NOT NULL,
	operator    BOOLEAN NOT NULL,
	password    BYTEA NOT NULL,             -- sealed hash
	mailed_at   BIGINT NOT NULL,            -- when the password was last set by way of the mailbox; 0: never
	epoch       BIGINT NOT NULL,            -- raised to void every sign-in, session and link made before
	disabled_at BIGINT NOT NULL,
	created_at  BIGINT NOT NULL
);

-- Somebody on the way in; later also somebody who proves anew, or proves a new factor.
CREATE TABLE signins (
	id          TEXT PRIMARY KEY,
	token       BYTEA NOT NULL UNIQUE,      -- hash
	account     TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	epoch       BIGINT NOT NULL,
	address     TEXT NOT NULL,
	browser     TEXT NOT NULL,
	return_to   TEXT NOT NULL,
	began_at    BIGINT NOT NULL,
	ends_at     BIGINT NOT NULL,
	finished_at BIGINT NOT NULL
);
CREATE INDEX signins_account ON signins (account);
CREATE INDEX signins_ends ON signins (ends_at);

-- The open question of a sign-in; all its codes share one budget of tries.
CREATE TABLE challenges (
	id        TEXT PRIMARY KEY,
	signin    TEXT NOT NULL UNIQUE REFERENCES signins (id) ON DELETE CASCADE,
	method    TEXT NOT NULL,                -- the one asked for now; choosing another keeps the row
	state     BYTEA NOT NULL,               -- sealed
	tries     BIGINT NOT NULL,              -- answers compared, over all methods
	sends     BIGINT NOT NULL,              -- messages sent, over all methods
	sent_at   BIGINT NOT NULL,              -- when it was asked last
	version   BIGINT NOT NULL,              -- raised whenever it is asked anew
	passed_at BIGINT NOT NULL
);

-- One answer that is good for one challenge, once, for a while.
CREATE TABLE codes (
	id        TEXT PRIMARY KEY,
	challenge TEXT NOT NULL REFERENCES challenges (id) ON DELETE CASCADE,
	method    TEXT NOT NULL,
	mac       BYTEA NOT NULL,
	message   TEXT NOT NULL,                -- the message that carries it
	sent_at   BIGINT NOT NULL,
	ends_at   BIGINT NOT NULL,
	used_at   BIGINT NOT NULL               -- also set when newer codes push it out
);
CREATE INDEX codes_challenge ON codes (challenge);

-- The outbox.
CREATE TABLE messages (
	id         TEXT PRIMARY KEY,
	body       BYTEA NOT NULL,              -- sealed; emptied once there is nothing left to send
	state      TEXT NOT NULL,               -- waiting, sent, refused, expired, unknown, delivered, failed, void
	state_at   BIGINT NOT NULL,
	due_at     BIGINT NOT NULL,             -- not before; moved by a worker that holds it
	ends_at    BIGINT NOT NULL,             -- not after
	tries      BIGINT NOT NULL,             -- attempts that were begun
	open_tries BIGINT NOT NULL              -- attempts that were begun and of whose end nothing is known
);
CREATE INDEX messages_due ON messages (due_at) WHERE state = 'waiting';
CREATE INDEX messages_ends ON messages (ends_at);

-- Somebody who is in.
CREATE TABLE sessions (
	id        TEXT PRIMARY KEY,
	token     BYTEA NOT NULL UNIQUE,        -- hash
	account   TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	epoch     BIGINT NOT NULL,
	signin    TEXT NOT NULL,
	amr       TEXT NOT NULL,
	address   TEXT NOT NULL,
	browser   TEXT NOT NULL,
	began_at  BIGINT NOT NULL,
	proved_at BIGINT NOT NULL,
	seen_at   BIGINT NOT NULL,
	ends_at   BIGINT NOT NULL
);
CREATE INDEX sessions_account ON sessions (account);
CREATE INDEX sessions_ends ON sessions (ends_at);

-- An invitation, a sign-up or a password reset on its way by mail.
CREATE TABLE links (
	token    BYTEA PRIMARY KEY,             -- hash
	purpose  TEXT NOT NULL,                 -- invite, signup, reset, undo, exists, decoy
	email    TEXT NOT NULL,                 -- canonical form
	account  TEXT NOT NULL,                 -- reset, undo: whose; '' otherwise
	factor   TEXT NOT NULL,                 -- undo: the factor to remove; '' to bring the address back
	name     TEXT NOT NULL,
	operator BOOLEAN NOT NULL,
	epoch    BIGINT NOT NULL,               -- reset: the account's epoch when it was made
	made_at  BIGINT NOT NULL,
	ends_at  BIGINT NOT NULL,
	used_at  BIGINT NOT NULL
);
CREATE INDEX links_ends ON links (ends_at);

-- What happened, for the person and the operator. Written in the transaction of the act.
CREATE TABLE events (
	id      TEXT PRIMARY KEY,
	at      BIGINT NOT NULL,
	kind    TEXT NOT NULL,
	account TEXT NOT NULL,                  -- '' if the name is not known
	signin  TEXT NOT NULL,
	address TEXT NOT NULL,
	browser TEXT NOT NULL
);
CREATE INDEX events_account ON events (account, at);
CREATE INDEX events_at ON events (at);
