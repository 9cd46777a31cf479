package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// decisions are how many are measured.
const decisions = 2000

// trusts measures the trust decision about a browser with as many places as it may have,
// beside one indexed read of one row, which is all that it may cost beyond the password.
func trusts(ctx context.Context, database string) (items []item, err error) {
	counted := &tapped{url: database}
	if strings.HasPrefix(database, "postgres") {
		if counted, err = tap(database); err != nil {
			return nil, err
		}
		defer counted.listener.Close()
	}
	db, err := store.Open(ctx, counted.url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	d, who, from, err := trusted(ctx, db)
	if err != nil {
		return nil, err
	}
	var read, decided []time.Duration
	var reads int64
	for range decisions {
		began := time.Now()
		if _, err := db.GetAccount(ctx, who.ID); err != nil {
			return nil, err
		}
		read = append(read, time.Since(began))
		before := counted.executed.Load()
		began = time.Now()
		by, err := d.PreviewDecision(ctx, who, from)
		if err != nil || by.Reason != trust.Trusted {
			return nil, fmt.Errorf("not trusted: %s, %w", by.Reason, err)
		}
		decided = append(decided, time.Since(began))
		reads = max(reads, counted.executed.Load()-before)
	}
	items = append(items,
		item{"trust decision, 8 places, beside one indexed read: median", median(decided) / median(read), "times", 1, measured},
		item{"trust decision: median", median(decided), "ms", median(read), measured})
	if counted.listener != nil {
		items = append(items, item{"trust decision: statements on the wire to the database, at most", float64(reads), "", 1, atMost})
	}
	return items, nil
}

// trusted is a browser with eight places, in the last of which its owner is now.
func trusted(ctx context.Context, db *store.DB) (d *device.Devices, who device.SessionDevice, from origin.Origin, err error) {
	keys, err := seal.ParseKeyRing(seal.NewKeyLine())
	if err != nil {
		return nil, who, from, err
	}
	now := time.Now()
	clock, log := func() time.Time { return now }, slog.New(slog.NewTextHandler(io.Discard, nil))
	accounts := &account.Accounts{
		Store: db, Keys: keys, Now: clock, Log: log, Settings: account.Settings{Site: "Example", Location: time.UTC},
		Enqueue: func(context.Context, *store.DB, delivery.Message, time.Time) error { return nil },
	}
	d = &device.Devices{Store: db, Keys: keys, Now: clock, Log: log, Accounts: accounts, Policy: trust.Policy{TTL: trust.MaxTTL}}
	a := store.Account{ID: "trusted", Email: "trusted@example.com", PasswordHash: []byte{}, Epoch: 1}
	if err := db.CreateAccount(ctx, a); err != nil {
		return nil, who, from, err
	}
	from.UserAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	for i := range trust.MaxNetworks {
		now = now.Add(time.Hour)
		from.Address = netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
		err := db.Tx(ctx, func(tx *store.DB) error {
			b, err := d.FindDevice(ctx, a.Ref(), from)
			if err != nil {
				return err
			}
			id, token, err := d.RegisterDevice(ctx, tx, a.Ref(), b)
			if err != nil {
				return err
			}
			from.DeviceToken = token
			return d.AddTrustedNetwork(ctx, tx, device.VerifiedSignIn{Account: a, Device: id, Network: trust.NetworkOf(from.Address)}, from)
		})
		if err != nil {
			return nil, who, from, err
		}
	}
	return d, device.SessionDevice{AccountRef: a.Ref()}, from, nil
}
