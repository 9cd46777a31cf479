-- +goose Up

-- Times are Unix milliseconds; 0 means never, unless a column says otherwise. Hashes are SHA-256. Sealed columns
-- are encrypted with the keys of the key file. A column that ends in _id holds the id of a row of another table, '' for
-- none.

-- Facts about this database itself.
CREATE TABLE server_state (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
);

-- One account: an email address and a password.
CREATE TABLE accounts (
	id                      TEXT PRIMARY KEY,
	email                   TEXT NOT NULL UNIQUE,   -- canonical form
	name                    TEXT NOT NULL,
	given_name              TEXT NOT NULL,          -- '' if the person did not say
	family_name             TEXT NOT NULL,
	profile_changed_at      BIGINT NOT NULL,        -- when a name or the address was last changed
	role                    TEXT NOT NULL,          -- on the operators' pages: '' none, operator, helpdesk, auditor
	password_hash           BYTEA NOT NULL,         -- sealed
	password_set_by_mail_at BIGINT NOT NULL,        -- when the password was last set with a link sent by email
	password_changed_at     BIGINT NOT NULL,        -- when the password was last changed; 0: never
	former_password_hash    BYTEA NOT NULL,         -- sealed: the password before the first change of the last 7 days
	former_password_until   BIGINT NOT NULL,        -- how long former_password_hash proves that a change may be undone
	epoch                   BIGINT NOT NULL,        -- raised to end every attempt, session and link made before
	disabled_at             BIGINT NOT NULL,
	created_at              BIGINT NOT NULL,
	group_names             TEXT NOT NULL,          -- separated by commas
	frozen_until            BIGINT NOT NULL,        -- when the last requested undo takes effect; 0: none was requested
	email_second_step       TEXT NOT NULL,          -- '' as the site has it; until-another: no codes by email beside another method
	last_sign_in_at         BIGINT NOT NULL         -- a little behind: TouchAccounts sets it from the events
);

CREATE INDEX accounts_role ON accounts (role) WHERE role <> '';
CREATE INDEX accounts_former_password ON accounts (former_password_until) WHERE former_password_until > 0;
CREATE INDEX accounts_created ON accounts (created_at, id);
CREATE INDEX accounts_last_sign_in ON accounts (last_sign_in_at, id);
CREATE INDEX accounts_disabled ON accounts (disabled_at, id) WHERE disabled_at > 0;
CREATE INDEX accounts_frozen ON accounts (frozen_until, id) WHERE frozen_until > 0;

-- By what an operator finds an account: its groups, and the beginnings of its address and of each word of its names.
CREATE TABLE account_keys (
	kind       TEXT NOT NULL,                       -- group, text
	key        BYTEA NOT NULL,                      -- bytes, which both databases sort alike; text: in lower case
	account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	PRIMARY KEY (kind, key, account_id)
);
CREATE INDEX account_keys_account ON account_keys (account_id, kind, key);

-- One attempt to authenticate: a sign-in, a step-up, or the verification of a new factor.
CREATE TABLE attempts (
	id                 TEXT PRIMARY KEY,
	token_hash         BYTEA NOT NULL UNIQUE,
	account_id         TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	epoch              BIGINT NOT NULL,             -- of the account, when the attempt started
	purpose            TEXT NOT NULL,               -- signin, stepup, factor
	session_id         TEXT NOT NULL,               -- stepup: the session to step up; factor: the one that enrolls
	address            TEXT NOT NULL,               -- IP address
	other_address      TEXT NOT NULL,               -- an address of the other family (IPv4, IPv6) that it was seen from
	user_agent         TEXT NOT NULL,
	client_hints       TEXT NOT NULL,               -- Sec-CH-UA
	device_id          TEXT NOT NULL,               -- '' if the browser is not known
	reason             TEXT NOT NULL,               -- why the second step is required; '' where it always is
	device_verified_at BIGINT NOT NULL,             -- when the browser was last verified, if that is the reason
	trust_requested    BOOLEAN NOT NULL,
	stay_signed_in     BOOLEAN NOT NULL,            -- the person ticked the box of the sign-in page
	required_level     BIGINT NOT NULL,             -- 0: the account's usual level
	started_at         BIGINT NOT NULL,
	expires_at         BIGINT NOT NULL,
	finished_at        BIGINT NOT NULL              -- passed or given up
);
CREATE INDEX attempts_account ON attempts (account_id);
CREATE INDEX attempts_expires ON attempts (expires_at);

-- The challenge of an attempt. All of its codes share one limit of guesses.
CREATE TABLE challenges (
	id              TEXT PRIMARY KEY,
	attempt_id      TEXT NOT NULL UNIQUE REFERENCES attempts (id) ON DELETE CASCADE,
	method          TEXT NOT NULL,                  -- the current one; choosing another keeps the row
	state           BYTEA NOT NULL,                 -- sealed
	guesses         BIGINT NOT NULL,                -- answers compared, over all methods
	guessed_at      BIGINT NOT NULL,                -- when the last of them was counted
	needs_long_code BOOLEAN NOT NULL,
	messages_sent   BIGINT NOT NULL,                -- over all methods
	last_sent_at    BIGINT NOT NULL,                -- when it was issued last
	version         BIGINT NOT NULL,                -- raised with every new issue
	passed_at       BIGINT NOT NULL
);

-- One code that is accepted for one challenge, once, until it expires.
CREATE TABLE one_time_codes (
	id           TEXT PRIMARY KEY,
	challenge_id TEXT NOT NULL REFERENCES challenges (id) ON DELETE CASCADE,
	method       TEXT NOT NULL,
	mac          BYTEA NOT NULL,
	message_id   TEXT NOT NULL,                     -- the outbox message that carries it
	sent_at      BIGINT NOT NULL,
	expires_at   BIGINT NOT NULL,
	used_at      BIGINT NOT NULL,                   -- also set when newer codes replace it
	guess_cost   BIGINT NOT NULL                    -- of one guess at it, in billionths
);
CREATE INDEX one_time_codes_challenge ON one_time_codes (challenge_id);

-- Messages to send, and what became of them.
CREATE TABLE outbox_messages (
	id            TEXT PRIMARY KEY,
	body          BYTEA NOT NULL,                   -- sealed; emptied once there is nothing left to send
	state         TEXT NOT NULL,                    -- waiting, sent, refused, expired, unknown, delivered, failed, void
	state_at      BIGINT NOT NULL,
	due_at        BIGINT NOT NULL,                  -- send not before; a worker that claims the message moves it
	expires_at    BIGINT NOT NULL,                  -- send not after
	urgent        BOOLEAN NOT NULL,                 -- a person waits for it: before the others, the newest first
	send_attempts BIGINT NOT NULL,                  -- started; also names the claim of the attempt
	open_attempts BIGINT NOT NULL,                  -- started, and their result is not known
	claim_beats   BIGINT NOT NULL,                  -- grows while a worker sends it; 0: no worker does
	failure       BYTEA NOT NULL                    -- sealed: why the last attempt failed; empty: none has
);
CREATE INDEX outbox_messages_urgent ON outbox_messages (state_at, id) WHERE state = 'waiting' AND urgent AND open_attempts < 2;
CREATE INDEX outbox_messages_others ON outbox_messages (due_at, id) WHERE state = 'waiting' AND NOT urgent AND open_attempts < 2;
CREATE INDEX outbox_messages_claimed ON outbox_messages (claim_beats) WHERE state = 'waiting' AND claim_beats > 0;
CREATE INDEX outbox_messages_due ON outbox_messages (due_at) WHERE state = 'waiting' AND open_attempts < 2;
CREATE INDEX outbox_messages_unknown ON outbox_messages (due_at) WHERE state = 'waiting' AND open_attempts >= 2;
CREATE INDEX outbox_messages_waiting_expires ON outbox_messages (expires_at) WHERE state = 'waiting';
CREATE INDEX outbox_messages_failed ON outbox_messages (state_at) WHERE state IN ('refused', 'failed', 'unknown', 'expired');
CREATE INDEX outbox_messages_done_expires ON outbox_messages (expires_at) WHERE state <> 'waiting';

-- A browser that is signed in.
CREATE TABLE sessions (
	id                TEXT PRIMARY KEY,
	token_hash        BYTEA NOT NULL UNIQUE,
	account_id        TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	epoch             BIGINT NOT NULL,              -- of the account; the session has ended if it differs
	attempt_id        TEXT NOT NULL,                -- the sign-in that it came from
	amr               TEXT NOT NULL,                -- RFC 8176, separated by spaces
	address           TEXT NOT NULL,
	user_agent        TEXT NOT NULL,
	client_hints      TEXT NOT NULL,
	started_at        BIGINT NOT NULL,
	authenticated_at  BIGINT NOT NULL,              -- when both steps were last completed; 0: trust skipped the second
	last_seen_at      BIGINT NOT NULL,
	expires_at        BIGINT NOT NULL,
	persistent        BOOLEAN NOT NULL,             -- the browser keeps its cookie until expires_at
	device_id         TEXT NOT NULL,
	trust_verified_at BIGINT NOT NULL,              -- when the trust that skipped the second step was verified
	factor_id         TEXT NOT NULL,                -- the factor that proved the second step last; '' for email and trust
	desk_code_id      TEXT NOT NULL,                -- the desk code that replaced the second step; '' once both are completed
	method_required   BOOLEAN NOT NULL              -- the person must set up a method before anything else
);
CREATE INDEX sessions_account ON sessions (account_id, started_at, id);
CREATE INDEX sessions_device ON sessions (device_id) WHERE device_id <> '';
CREATE INDEX sessions_expires ON sessions (expires_at);

-- A code that the help desk reads to a person who is locked out, from its request on. An account has at most one that
-- has not ended.
CREATE TABLE desk_codes (
	id          TEXT PRIMARY KEY,
	account_id  TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	epoch       BIGINT NOT NULL,                    -- of the account, when it was requested; not accepted if it differs
	state       TEXT NOT NULL,                      -- waiting, approved, valid, used, refused, cancelled, replaced, expired
	asked_by    TEXT NOT NULL,                      -- 'TYPE:ID' of the operator
	approved_by TEXT NOT NULL,                      -- 'TYPE:ID' of the second operator; '' if none was needed
	mac         BYTEA NOT NULL,                     -- keyed hash; empty until the code is shown
	attempt_id  TEXT NOT NULL,                      -- the sign-in in which a code was entered first; '' if none was
	guesses     BIGINT NOT NULL,                    -- codes compared with it
	asked_at    BIGINT NOT NULL,
	expires_at  BIGINT NOT NULL,                    -- of the present state
	used_at     BIGINT NOT NULL,
	ended_at    BIGINT NOT NULL                     -- 0: waiting, approved or valid
);
CREATE UNIQUE INDEX desk_codes_open ON desk_codes (account_id) WHERE ended_at = 0;
CREATE INDEX desk_codes_due ON desk_codes (expires_at) WHERE ended_at = 0;
CREATE INDEX desk_codes_account ON desk_codes (account_id);
CREATE INDEX desk_codes_ended ON desk_codes (ended_at) WHERE ended_at > 0;

-- A link sent by email.
CREATE TABLE email_links (
	token_hash  BYTEA PRIMARY KEY,
	purpose     TEXT NOT NULL,                       -- invite, signup, reset, address, undo, desk, exists, decoy
	email       TEXT NOT NULL,                       -- canonical form; undo: of the account before the change
	account_id  TEXT NOT NULL,                       -- reset, address, undo, desk
	factor_id   TEXT NOT NULL,                       -- undo: the factor to remove; '' to restore the address; desk: the desk code
	replaced    BYTEA NOT NULL,                      -- undo: the factor to restore, as JSON with a sealed body; empty: none
	due_at      BIGINT NOT NULL,                     -- undo: when it takes effect; 0: it was not requested
	language    TEXT NOT NULL,                       -- undo: of the person who requested it, for the messages at due_at; invite: of the mail
	name        TEXT NOT NULL,
	given_name  TEXT NOT NULL,
	family_name TEXT NOT NULL,
	role        TEXT NOT NULL,                       -- invite: of the account that is created
	group_names TEXT NOT NULL,                       -- invite: separated by commas
	epoch       BIGINT NOT NULL,                     -- reset, address: of the account, when the link was made
	created_at  BIGINT NOT NULL,
	expires_at  BIGINT NOT NULL,
	used_at     BIGINT NOT NULL
);
CREATE INDEX email_links_expires ON email_links (expires_at);
CREATE INDEX email_links_account ON email_links (account_id, created_at);
CREATE INDEX email_links_email ON email_links (email, purpose);
CREATE INDEX email_links_invite ON email_links (created_at, email) WHERE purpose = 'invite';
CREATE INDEX email_links_invited ON email_links (email) WHERE purpose = 'invite' AND used_at = 0;
CREATE INDEX email_links_due ON email_links (due_at) WHERE due_at > 0 AND used_at = 0;

-- Kinds of security events and types of actors. A number never changes.
CREATE TABLE audit_terms (
	id   BIGINT PRIMARY KEY,
	term TEXT NOT NULL UNIQUE
);
INSERT INTO audit_terms (id, term) VALUES
	(1, 'anonymous'), (2, 'person'), (3, 'operator'), (4, 'program'), (5, 'client'), (6, 'system'),
	(11, 'password.accepted'), (12, 'password.rejected'), (13, 'password.changed'), (14, 'password.reset'),
	(15, 'password.reset_requested'), (16, 'code.rejected'), (17, 'recovery_code.used'), (18, 'session.created'),
	(19, 'session.upgraded'), (20, 'session.ended'), (21, 'sessions.ended'), (22, 'factor.added'),
	(23, 'factor.replaced'), (24, 'factor.removed'), (25, 'email.changed'), (26, 'name.changed'),
	(27, 'change.undone'), (28, 'account.frozen'), (29, 'undo.rejected'), (30, 'email.second_step_changed'),
	(31, 'trust.denied'), (32, 'device.trusted'), (33, 'device.forgotten'), (34, 'devices.forgotten'),
	(35, 'device.secret_reused'), (36, 'signup.requested'), (37, 'account.invited'), (38, 'account.created'),
	(39, 'account.disabled'), (40, 'account.enabled'), (41, 'account.groups_changed'), (42, 'guessing.reported'),
	(43, 'guess_budget.exhausted'), (44, 'site_alarm.raised'), (45, 'site_alarm.cleared'), (46, 'limit.reached'),
	(47, 'client.created'), (48, 'client.updated'), (49, 'client.secret_rotated'), (50, 'client.deleted'),
	(51, 'client.rejected'), (52, 'registration_token.created'), (53, 'registration_tokens.ended'),
	(54, 'consent.given'), (55, 'consent.denied'), (56, 'consent.withdrawn'), (57, 'access.denied'),
	(58, 'grant.created'), (59, 'grant.ended'), (60, 'authorization_code.reused'), (61, 'user_code.rejected'),
	(62, 'refresh_token.reused'), (63, 'signing_key.created'), (64, 'backup.restored'), (65, 'events.omitted'),
	(66, 'account.deleted'), (67, 'account.exported'), (68, 'invitation.revoked'), (69, 'email.change_proposed'),
	(70, 'account.role_changed'), (71, 'delivery.tested'),
	(72, 'desk_code.requested'), (73, 'desk_code.approved'), (74, 'desk_code.refused'), (75, 'desk_code.shown'),
	(76, 'desk_code.used'), (77, 'desk_code.rejected'), (78, 'desk_code.cancelled'), (79, 'desk_code.expired'),
	(95, 'people.exported'), (96, 'events.exported'),
	(80, 'webhook.tested'), (81, 'webhook.replayed'), (82, 'webhook.failed');

-- The browsers that security events name.
CREATE TABLE audit_browsers (
	id      BIGINT PRIMARY KEY,                     -- the first 8 bytes of the hash of the name
	name    TEXT NOT NULL,                          -- the User-Agent header
	last_at BIGINT NOT NULL                         -- the start of the day (UTC) of the last event
);
CREATE INDEX audit_browsers_last ON audit_browsers (last_at);

-- Security events, written in the transaction of the operation. Columns that do not apply hold ''. People read the view
-- audit_log.
CREATE TABLE audit_events (
	id          BIGINT PRIMARY KEY,             -- when it happened, shifted left by 21 bits, and random bits
	kind        BIGINT NOT NULL,                -- of audit_terms
	actor_type  BIGINT NOT NULL,                -- of audit_terms
	actor_id    TEXT NOT NULL,                  -- '' for the person of the account
	account     TEXT NOT NULL,                  -- the subject; '' if the name is unknown
	target      TEXT NOT NULL,                  -- 'factor:ID', 'session:ID', 'client:ID', 'device:ID'
	failed      BOOLEAN NOT NULL,
	reason      TEXT NOT NULL,
	client      TEXT NOT NULL,
	sign_in     TEXT NOT NULL,
	address     TEXT NOT NULL,
	browser     BIGINT NOT NULL,                -- of audit_browsers; 0: none
	trace       TEXT NOT NULL,
	occurrences BIGINT NOT NULL                 -- 1; more of 'events.omitted'
);
CREATE INDEX audit_events_account ON audit_events (account, id) WHERE account <> '';
CREATE INDEX audit_events_kind ON audit_events (kind, id);
CREATE INDEX audit_events_address ON audit_events (address, id) WHERE address <> '';

-- The security events as people read them.
CREATE VIEW audit_log AS SELECT e.id, e.id >> 21 AS time, k.term AS kind, a.term AS actor_type,
		CASE WHEN e.actor_id = '' AND a.term = 'person' THEN e.account ELSE e.actor_id END AS actor_id, e.account, e.target,
		CASE WHEN e.failed THEN 'failure' ELSE 'success' END AS result, e.reason, e.client, e.sign_in, e.address,
		COALESCE(b.name, '') AS browser, e.trace, e.occurrences
	FROM audit_events AS e JOIN audit_terms AS k ON k.id = e.kind JOIN audit_terms AS a ON a.id = e.actor_type
		LEFT JOIN audit_browsers AS b ON b.id = e.browser;

-- How many rate-limited events happened in an hour, by network, account and site.
CREATE TABLE audit_counters (
	scope    TEXT NOT NULL,
	ends_at  BIGINT NOT NULL,
	used     BIGINT NOT NULL,
	event_id BIGINT NOT NULL,                       -- of the event that counts those beyond the limit; 0: none
	PRIMARY KEY (scope, ends_at)
);
CREATE INDEX audit_counters_ends ON audit_counters (ends_at);

-- How far the security events were delivered to each webhook of the configuration.
CREATE TABLE webhooks (
	name          TEXT PRIMARY KEY,
	position      BIGINT NOT NULL,                  -- an event with a smaller id is delivered, not for it, or in webhook_deliveries
	lease         TEXT NOT NULL,                    -- random, changed by the server that delivers; '': none does
	failures      BIGINT NOT NULL,                  -- failed attempts since the last delivery
	failing_since BIGINT NOT NULL,                  -- the first of them
	failure       TEXT NOT NULL,                    -- why the last of them failed
	due_at        BIGINT NOT NULL,                  -- no attempt before
	gone          BOOLEAN NOT NULL,                 -- the receiver wants no more (status 410)
	delivered_at  BIGINT NOT NULL,                  -- the last delivery
	lost          BIGINT NOT NULL,                  -- events that were given up since the last replay
	lost_at       BIGINT NOT NULL                   -- when the last of them was
);

-- Events after the position of a webhook that were delivered, and events that failed while others were delivered.
CREATE TABLE webhook_deliveries (
	webhook       TEXT NOT NULL REFERENCES webhooks (name) ON DELETE CASCADE,
	event_id      BIGINT NOT NULL,                  -- of audit_events
	failures      BIGINT NOT NULL,                  -- failed attempts; 0: it is delivered
	failing_since BIGINT NOT NULL,
	due_at        BIGINT NOT NULL,
	PRIMARY KEY (webhook, event_id)
);
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (webhook, due_at) WHERE failures > 0;

-- What an account has enrolled: an authenticator app, a phone number, a set of recovery codes.
CREATE TABLE factors (
	id           TEXT PRIMARY KEY,
	account_id   TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	method       TEXT NOT NULL,
	slot         BIGINT NOT NULL,                   -- 0 and up: limits how many of a method an account has
	body         BYTEA NOT NULL,                    -- sealed: the address or the secret
	version      BIGINT NOT NULL,                   -- raised with every change of the body
	created_at   BIGINT NOT NULL,
	last_used_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX factors_account ON factors (account_id, method, slot);

-- A factor that is not verified yet. Passing its attempt verifies it.
CREATE TABLE pending_factors (
	attempt_id TEXT PRIMARY KEY REFERENCES attempts (id) ON DELETE CASCADE,
	session_id TEXT NOT NULL,
	method     TEXT NOT NULL,
	shown_only BOOLEAN NOT NULL,                    -- showing it to the person is enough
	body       BYTEA NOT NULL                       -- sealed
);
CREATE UNIQUE INDEX pending_factors_session ON pending_factors (session_id, method);

-- How much of a rate limit or a budget is used, in one window of time.
CREATE TABLE rate_limit_counters (
	kind      TEXT NOT NULL,                        -- what is counted
	subject   TEXT NOT NULL,                        -- an id or a keyed hash; '' for the whole site
	window_ms BIGINT NOT NULL,                      -- length of the window, milliseconds
	ends_at   BIGINT NOT NULL,                      -- end of the window
	used      BIGINT NOT NULL,
	PRIMARY KEY (kind, subject, window_ms, ends_at)
);
CREATE INDEX rate_limit_counters_ends ON rate_limit_counters (ends_at) WHERE kind NOT IN ('site_guesses', 'text_budget');

-- One browser. Its cookie holds a series that stays and a random secret that is replaced with every use.
CREATE TABLE devices (
	id                   TEXT PRIMARY KEY,
	series               BYTEA NOT NULL UNIQUE,     -- hash
	secret               BYTEA NOT NULL,            -- hash
	next_secret          BYTEA NOT NULL,            -- hash; the browser has not shown it yet; empty: none
	next_salt            BYTEA NOT NULL,            -- random; the next secret is a keyed hash of it and the current one
	next_issued_at       BIGINT NOT NULL,
	previous_secret      BYTEA NOT NULL,            -- hash
	previous_replaced_at BIGINT NOT NULL,
	expires_at           BIGINT NOT NULL,
	revoke_reason        TEXT NOT NULL              -- '' while its cookie is accepted
);
CREATE INDEX devices_expires ON devices (expires_at);

-- Accounts that have completed both steps in a browser. A known browser does not skip the second step.
CREATE TABLE known_devices (
	device_id        TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
	account_id       TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	authenticated_at BIGINT NOT NULL,               -- when both steps were last completed there
	PRIMARY KEY (device_id, account_id)
);
CREATE INDEX known_devices_account ON known_devices (account_id);

-- One network from which a browser was verified for an account. Trust is decided by these rows.
CREATE TABLE trusted_networks (
	id            TEXT PRIMARY KEY,
	device_id     TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
	account_id    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	epoch         BIGINT NOT NULL,                  -- of the account; not trusted if it differs
	body          BYTEA NOT NULL,                   -- sealed: the network and the browser
	verified_at   BIGINT NOT NULL,
	last_used_at  BIGINT NOT NULL,                  -- when it last skipped the second step
	revoked_at    BIGINT NOT NULL,
	revoke_reason TEXT NOT NULL
);
CREATE INDEX trusted_networks_device ON trusted_networks (device_id, account_id);
CREATE INDEX trusted_networks_account ON trusted_networks (account_id);
CREATE INDEX trusted_networks_verified ON trusted_networks (verified_at);

-- What was decided after a correct password, and why: for the account holder and the operator.
CREATE TABLE trust_decisions (
	id         TEXT PRIMARY KEY,                    -- trace id
	decided_at BIGINT NOT NULL,
	account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	device_id  TEXT NOT NULL,                       -- '' if the browser is not known
	reason     TEXT NOT NULL,
	body       BYTEA NOT NULL                       -- sealed: all inputs of the decision
);
CREATE INDEX trust_decisions_account ON trust_decisions (account_id, decided_at);
CREATE INDEX trust_decisions_decided ON trust_decisions (decided_at);

-- The budget of guesses of an account, or of an address or number to be verified.
CREATE TABLE guess_budgets (
	name              TEXT PRIMARY KEY,             -- account id, or a keyed hash
	version           BIGINT NOT NULL,              -- raised by each charge, which locks the row until it is committed
	renewed_at        BIGINT NOT NULL,              -- entries before do not count
	guess_notified_at BIGINT NOT NULL,              -- when the account holder was last notified of guesses
	spent_notified_at BIGINT NOT NULL               -- when the account holder was last notified that it is used up
);

-- Charges against a budget. Those of a challenge are refunded when it is passed.
CREATE TABLE guess_budget_entries (
	id            TEXT PRIMARY KEY,
	budget        TEXT NOT NULL,
	kind          TEXT NOT NULL,                    -- guess, pair, desk, send, renewal, proof
	challenge_id  TEXT NOT NULL,
	device_id     TEXT NOT NULL,                    -- the known browser that caused it; '' for others
	known_network BOOLEAN NOT NULL,                 -- unknown browser, network where both steps were completed
	network       TEXT NOT NULL,                    -- keyed hash; '' if it is not known
	large_network TEXT NOT NULL,                    -- keyed hash of the larger network that it is in
	site_group    TEXT NOT NULL,                    -- the site's counters that a guess was added to; '' if none
	created_at    BIGINT NOT NULL,
	cost          BIGINT NOT NULL                   -- of a guess, in billionths; 0 for other kinds
);
CREATE INDEX guess_budget_entries_budget ON guess_budget_entries (budget, created_at);
CREATE INDEX guess_budget_entries_challenge ON guess_budget_entries (challenge_id) WHERE challenge_id <> '';
CREATE INDEX guess_budget_entries_shares ON guess_budget_entries (created_at) WHERE kind IN ('send', 'pair');
CREATE INDEX guess_budget_entries_guesses ON guess_budget_entries (created_at) WHERE kind NOT IN ('send', 'pair');

-- Wrong passwords in a row for one address, from one network or from one known browser.
CREATE TABLE failed_passwords (
	subject  TEXT PRIMARY KEY,                      -- keyed hash
	failures BIGINT NOT NULL,
	last_at  BIGINT NOT NULL
);
CREATE INDEX failed_passwords_last ON failed_passwords (last_at);

-- OAuth clients that an operator registered. Those of the configuration file are not here.
CREATE TABLE clients (
	id           TEXT PRIMARY KEY,
	registration TEXT NOT NULL,                     -- JSON
	created_at   BIGINT NOT NULL
);

-- When clients were last used, also those of the configuration file.
CREATE TABLE client_uses (
	client_id TEXT PRIMARY KEY,
	last_at   BIGINT NOT NULL                       -- a little behind, see TouchClient
);

-- Why requests of clients were rejected, for the operator. Requests with the same reason are one row.
CREATE TABLE client_rejections (
	client_id TEXT NOT NULL,
	reason    TEXT NOT NULL,
	path      TEXT NOT NULL,
	sent      TEXT NOT NULL,                        -- parameters of the last one, without secrets
	remedy    TEXT NOT NULL,
	requests  BIGINT NOT NULL,
	last_at   BIGINT NOT NULL,
	PRIMARY KEY (client_id, reason)
);
CREATE INDEX client_rejections_last ON client_rejections (last_at);

-- Tokens with which apps register themselves (RFC 7591).
CREATE TABLE registration_tokens (
	hash       BYTEA PRIMARY KEY,
	uses_left  BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX registration_tokens_expires ON registration_tokens (expires_at);

-- OAuth clients that are not registered: what their metadata documents say.
CREATE TABLE client_documents (
	id           TEXT PRIMARY KEY,                  -- the URL of the document, which is the client_id
	registration TEXT NOT NULL,                     -- JSON, as in clients
	expires_at   BIGINT NOT NULL                    -- when the document is to be read again
);
CREATE INDEX client_documents_expires ON client_documents (expires_at);

-- Authorization requests that wait for the person to sign in or to consent.
CREATE TABLE authorization_requests (
	id             BYTEA PRIMARY KEY,               -- hash
	client_id      TEXT NOT NULL,
	parameters     TEXT NOT NULL,                   -- JSON
	pushed         BOOLEAN NOT NULL,                -- by the client (RFC 9126), and not used yet
	settings_shown BOOLEAN NOT NULL,                -- the person was sent to their settings for it
	created_at     BIGINT NOT NULL,
	expires_at     BIGINT NOT NULL
);
CREATE INDEX authorization_requests_client ON authorization_requests (client_id);
CREATE INDEX authorization_requests_expires ON authorization_requests (expires_at);

-- Requests of devices (RFC 8628) that wait for a person to enter their code.
CREATE TABLE device_authorizations (
	id          BYTEA PRIMARY KEY,                  -- hash of the device code
	user_code   TEXT NOT NULL UNIQUE,               -- without a dash; useless without a session
	client_id   TEXT NOT NULL,
	scope       TEXT NOT NULL,                      -- separated by spaces
	address     TEXT NOT NULL,                      -- IP address of the device
	state       TEXT NOT NULL,                      -- pending, allowed, denied
	interval_ms BIGINT NOT NULL,                    -- the device waits as long between two polls
	polled_at   BIGINT NOT NULL,
	polls_early BOOLEAN NOT NULL,                   -- the last poll came before the interval was over
	created_at  BIGINT NOT NULL,
	expires_at  BIGINT NOT NULL
);
CREATE INDEX device_authorizations_client ON device_authorizations (client_id);
CREATE INDEX device_authorizations_expires ON device_authorizations (expires_at);

-- What a client was granted: its authorization code, and the tokens issued for it.
CREATE TABLE grants (
	id                 TEXT PRIMARY KEY,
	client_id          TEXT NOT NULL,
	account_id         TEXT NOT NULL,               -- '': the client itself (client credentials)
	epoch              BIGINT NOT NULL,             -- of the account; the grant has ended if it differs
	session_id         TEXT NOT NULL,               -- the session in which it was granted
	session_expires_at BIGINT NOT NULL,
	scope              TEXT NOT NULL,               -- separated by spaces
	code_binding       TEXT NOT NULL,               -- JSON: redirect URI, PKCE challenge, nonce
	amr                TEXT NOT NULL,
	authenticated_at   BIGINT NOT NULL,             -- auth_time of the ID token
	offline            BOOLEAN NOT NULL,            -- it outlives the session (offline_access)
	code_hash          BYTEA NOT NULL UNIQUE,
	code_expires_at    BIGINT NOT NULL,
	code_used_at       BIGINT NOT NULL,
	id_token_sent      BOOLEAN NOT NULL,            -- in the authorization response, before any code is used
	created_at         BIGINT NOT NULL,
	expires_at         BIGINT NOT NULL,
	revoked_at         BIGINT NOT NULL,
	logout_pending     BOOLEAN NOT NULL,            -- the session was ended, and the client has not been notified
	logout_due_at      BIGINT NOT NULL,             -- notify not before; a worker that claims the notification moves it
	logout_sent_at     BIGINT NOT NULL              -- when the client was notified
);
CREATE INDEX grants_account ON grants (account_id, client_id);
CREATE INDEX grants_client ON grants (client_id, account_id, created_at);
CREATE INDEX grants_session ON grants (session_id);
CREATE INDEX grants_logout_pending ON grants (session_expires_at, logout_due_at) WHERE logout_pending;
CREATE INDEX grants_expires ON grants (expires_at);

CREATE TABLE tokens (
	hash       BYTEA PRIMARY KEY,
	grant_id   TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
	kind       TEXT NOT NULL,                       -- access, refresh, host (the cookie of a host behind a proxy)
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	used_at    BIGINT NOT NULL                      -- a refresh token works once
);
CREATE INDEX tokens_grant ON tokens (grant_id);
CREATE INDEX tokens_expires ON tokens (expires_at);

-- What a person has allowed a third-party client.
CREATE TABLE consents (
	account_id TEXT NOT NULL,
	client_id  TEXT NOT NULL,
	scope      TEXT NOT NULL,
	granted_at BIGINT NOT NULL,
	PRIMARY KEY (account_id, client_id)
);
CREATE INDEX consents_client ON consents (client_id, account_id);

-- Keys that sign ID tokens and logout tokens.
CREATE TABLE signing_keys (
	id         TEXT PRIMARY KEY,
	algorithm  TEXT NOT NULL,
	body       BYTEA NOT NULL,                      -- sealed private key
	created_at BIGINT NOT NULL
);
