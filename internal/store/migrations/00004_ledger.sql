-- +goose Up

-- What may be guessed at: an account, or an address or number that is to be proven.
CREATE TABLE ledgers (
	name       TEXT PRIMARY KEY,
	turn       BIGINT NOT NULL,             -- raised by whoever debits, who holds the row until then
	renewed_at BIGINT NOT NULL,             -- what was spent before counts no more; 0: never
	told_at    BIGINT NOT NULL,             -- when its owner was last told that somebody guesses
	longer_at  BIGINT NOT NULL              -- when its owner was last told that it is used up
);

-- What was guessed and sent, until the challenge it was for is passed.
CREATE TABLE debits (
	id        TEXT PRIMARY KEY,
	ledger    TEXT NOT NULL,
	kind      TEXT NOT NULL,                -- guess, pair, send, renewal, proof
	challenge TEXT NOT NULL,
	device    TEXT NOT NULL,                -- the known browser that did it; '' for a stranger
	network   TEXT NOT NULL,                -- keyed hash of where it was done
	at        BIGINT NOT NULL,
	cost      BIGINT NOT NULL               -- in a thousand millionth
);
CREATE INDEX debits_ledger ON debits (ledger, at);
CREATE INDEX debits_challenge ON debits (challenge);
CREATE INDEX debits_at ON debits (at);

-- How many wrong passwords were given for a name from one network, or by one known browser.
CREATE TABLE waits (
	name  TEXT PRIMARY KEY,
	wrong BIGINT NOT NULL,
	at    BIGINT NOT NULL                   -- the last of them
);
CREATE INDEX waits_at ON waits (at);

ALTER TABLE challenges ADD COLUMN tried_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE challenges ADD COLUMN hard BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE codes ADD COLUMN cost BIGINT NOT NULL DEFAULT 1000;
