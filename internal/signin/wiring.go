package signin

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/deskcode"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Config is what New creates the services from.
type Config struct {
	Store     *store.DB
	Keys      *seal.KeyRing
	Passwords *seal.PasswordHasher
	Now       func() time.Time
	Log       *slog.Logger
	Settings  account.Settings
	// Enqueue adds a message to the outbox in a transaction. NotifyOutbox wakes the outbox after the commit.
	Enqueue      func(ctx context.Context, tx *store.DB, m delivery.Message, until time.Time) error
	NotifyOutbox func()
	Trust        trust.Policy
	GuessBudget  odds.Chance // what unknown devices may spend of each account in a year
	Methods      []factor.Method
	Idle         time.Duration // a session ends when it was not used for this long
	Absolute     time.Duration // a session ends after this time in any case
	StaySignedIn bool          // people choose whether the cookie of a session is persistent
	Texts        challenge.TextBudget
	Email        challenge.EmailPolicy
	Operator     audit.Actor // see account.Accounts
	// AnyForOperators: see challenge.Challenges
	AnyForOperators bool
	// DeskCodeApproval: see deskcode.DeskCodes.SecondOperator
	DeskCodeApproval bool
	Events           *audit.Log // see account.Accounts
}

// Services are the services behind sign-in and the settings of an account.
type Services struct {
	Accounts    *account.Accounts
	Limits      *ratelimit.Limiter
	Devices     *device.Devices
	Budgets     *odds.Budgets
	Sessions    *session.Sessions
	Challenges  *challenge.Challenges
	Enrollments *enroll.Enrollments
	DeskCodes   *deskcode.DeskCodes
	SignIns     *SignIns
}

// New creates the services.
func New(c Config) *Services {
	s := &Services{}
	s.Limits = &ratelimit.Limiter{Store: c.Store, Keys: c.Keys, Now: c.Now, Log: c.Log}
	s.Accounts = &account.Accounts{
		Store: c.Store, Keys: c.Keys, Passwords: c.Passwords, Limits: s.Limits,
		Now: c.Now, Log: c.Log, Settings: c.Settings, Enqueue: c.Enqueue, NotifyOutbox: c.NotifyOutbox,
		Operator: c.Operator, Events: c.Events,
	}
	s.Devices = &device.Devices{
		Store: c.Store, Keys: c.Keys, Now: c.Now, Log: c.Log, Accounts: s.Accounts, Policy: c.Trust,
	}
	s.Budgets = &odds.Budgets{
		Store: c.Store, Keys: c.Keys, Now: c.Now, Log: c.Log, Accounts: s.Accounts, PerYear: c.GuessBudget,
	}
	s.Sessions = &session.Sessions{
		Store: c.Store, Now: c.Now, Accounts: s.Accounts, Idle: c.Idle, Absolute: c.Absolute,
		StaySignedIn: c.StaySignedIn,
		Faults: &fault.Log{
			Logger: c.Log, Now: c.Now, Failing: "the last use of sessions cannot be recorded: the database cannot be written",
			Working: "the last use of sessions is recorded again",
		},
	}
	s.Challenges = &challenge.Challenges{
		Store: c.Store, Keys: c.Keys, Now: c.Now, Log: c.Log, Accounts: s.Accounts, Limits: s.Limits, Devices: s.Devices,
		Budgets: s.Budgets, Sessions: s.Sessions, Methods: c.Methods, Texts: c.Texts, Email: c.Email,
		AnyForOperators: c.AnyForOperators,
	}
	s.Enrollments = &enroll.Enrollments{
		Store: c.Store, Now: c.Now, Accounts: s.Accounts, Limits: s.Limits, Sessions: s.Sessions, Challenges: s.Challenges,
	}
	s.DeskCodes = &deskcode.DeskCodes{
		Store: c.Store, Keys: c.Keys, Now: c.Now, Accounts: s.Accounts, Limits: s.Limits, Budgets: s.Budgets,
		Enrollments: s.Enrollments, SecondOperator: c.DeskCodeApproval,
	}
	s.SignIns = &SignIns{
		Store: c.Store, Now: c.Now, Accounts: s.Accounts, Limits: s.Limits, Devices: s.Devices, Budgets: s.Budgets,
		Sessions: s.Sessions, Challenges: s.Challenges, Enrollments: s.Enrollments,
	}
	return s
}

// InvalidateAll ends all sessions, attempts, links and trust. Call it after a backup was restored: the
// backup has sessions that were ended since, and codes that were used since, as if they were valid. It
// also resets the latest time that was seen. What was guessed after the backup was made is not in it, so
// each account loses one renewal of its guess budget, which pays for one full budget. An account that had
// n renewals after the backup may have had n × odds.AccountBudgetPerYear more compared than the database
// says.
func (s *SignIns) InvalidateAll(ctx context.Context) error {
	now := s.Now()
	yearAgo := now.Add(-odds.Year)
	err := s.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RevokeAll(ctx, string(trust.RevokedBackupRestored), now); err != nil {
			return err
		}
		budget := int64(odds.AccountBudgetPerYear)
		if err := tx.RenewAllGuessBudgets(ctx, yearAgo, now, odds.MaxRenewalsPerYear, budget); err != nil {
			return err
		}
		if err := tx.SetLatestTime(ctx, now); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.BackupRestored, Actor: s.Accounts.OperatorActor()}
		return s.Accounts.Event(ctx, tx, e, origin.Origin{})
	})
	if err != nil {
		return fmt.Errorf("signin: invalidate all: %w", err)
	}
	return nil
}
