// Package grown fills a store as one that was administered for years is filled: with keys of many teams, and budgets of teams and
// keys. It writes through the store's own transactions, so that every row, and the audit log, is as a service would have
// written it; only the admin API in front of them, with an HTTP request for each object, is left out.
package grown

import (
	"context"
	"errors"
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/store"
)

// Users is how many of the keys are asked with.
const Users = 64

const (
	organization = "default" // the one that there is where a configuration names none
	mostTeams    = 100
	ofTeam       = 100    // keys that a team has at least
	batch        = 20_000 // objects of one transaction
)

// Size is how much a store has.
type Size struct {
	Keys    int
	Budgets int // of each team one, and the others of keys
}

// Check says what is wrong with a size.
func (s Size) Check() error {
	switch {
	case s.Keys < Users:
		return fmt.Errorf("there must be at least %d keys, as many are asked with", Users)
	case s.Budgets < s.teams() || s.owned() > s.Keys-Users:
		return fmt.Errorf("of %d keys in %d teams, there must be from %d to %d budgets: one of each team, and one of some keys, but not of the %d that are asked with", s.Keys, s.teams(), s.teams(), s.Keys-Users+s.teams(), Users)
	}
	return nil
}

// teams is how many teams the keys have.
func (s Size) teams() int { return max(1, min(mostTeams, s.Keys/ofTeam)) }

// owned is how many keys have a budget of their own: the first ones.
func (s Size) owned() int { return s.Budgets - s.teams() }

// Teams are the names of the teams, which a configuration may have, too, with limits.
func (s Size) Teams() []string {
	out := make([]string, s.teams())
	for i := range out {
		out[i] = fmt.Sprintf("team-%03d", i)
	}
	return out
}

// Fill makes an SQLite store in a file that is not there yet. Keys are hashed with the pepper. It returns the keys to ask with, which are
// of many teams, and have no budget but that of their team: what a request counts in must not depend on the size.
func Fill(ctx context.Context, file string, pepper secret.Value, size Size) (users []string, err error) {
	if err := size.Check(); err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, "sqlite:"+file, store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	f := filler{store: s, size: size, teams: size.Teams(), digests: auth.NewDirectory(pepper)}
	if err := f.owners(ctx); err != nil {
		return nil, err
	}
	for from := 0; from < size.Keys; from += batch {
		if err := f.keys(ctx, from, min(from+batch, size.Keys)); err != nil {
			return nil, fmt.Errorf("making keys: %w", err)
		}
	}
	return f.users, nil
}

// filler is what fills a store.
type filler struct {
	store   *store.Store
	size    Size
	teams   []string
	digests *auth.Directory
	users   []string
}

// change makes a transaction. It keeps 400 MB of the database at hand: ids and digests are random, so that every page of an index is
// written to all the time.
func (f *filler) change(ctx context.Context, do func(*store.Tx) error) error {
	return f.store.Change(ctx, store.Actor{Name: "bench"}, func(tx *store.Tx) error {
		if _, err := tx.Exec("PRAGMA cache_size = -400000"); err != nil {
			return err
		}
		return do(tx)
	})
}

// owners makes the teams, each with a budget.
func (f *filler) owners(ctx context.Context) error {
	return f.change(ctx, func(tx *store.Tx) error {
		teams := make([]store.Team, len(f.teams))
		for i, name := range f.teams {
			teams[i] = store.Team{Name: name, Organization: organization}
		}
		if err := tx.Adopt([]store.Organization{{Name: organization}}, teams, nil); err != nil {
			return fmt.Errorf("making teams: %w", err)
		}
		for _, name := range f.teams {
			// Of tokens: a budget of money refuses models without a known price.
			b := store.Budget{Level: "team", Owner: name, Unit: "tokens", Amount: 1_000_000_000_000, Per: "month", Zone: "Europe/Berlin", AlertAt: []int{80, 100}}
			if err := tx.CreateBudget(&b); err != nil {
				return fmt.Errorf("making budgets: %w", err)
			}
		}
		return nil
	})
}

// usd is a dollar in the unit of budgets.
const usd = 1_000_000_000

// kinds are the budgets that keys have, in turn.
var kinds = []store.Budget{
	{Unit: "requests", Amount: 6000, Per: "minute"},
	{Unit: "money", Amount: 500 * usd, Per: "month", AlertAt: []int{80, 100}},
	{Unit: "tokens", Amount: 5_000_000, Per: "day"},
	{Unit: "parallel", Amount: 50},
	{Unit: "money", Amount: 20 * usd, Per: "day", Zone: "Europe/Berlin", Soft: true, AlertAt: []int{90}},
	{Unit: "tokens", Amount: 200_000, Per: "minute", Model: "gpt-5*"},
}

// keys makes the keys of a range of numbers, and the budgets of those that have one.
func (f *filler) keys(ctx context.Context, from, to int) error {
	texts := make([]string, to-from)
	for i := range texts {
		var err error
		if texts[i], err = auth.Generate("bench"); err != nil {
			return err
		}
	}
	owned := f.size.owned()
	for n := max(from, owned); n < min(to, owned+Users); n++ {
		f.users = append(f.users, texts[n-from])
	}
	return f.change(ctx, func(tx *store.Tx) error {
		for n := from; n < to; n++ {
			text := texts[n-from]
			k := store.Key{Name: fmt.Sprintf("key-%07d", n), Team: f.teams[n%len(f.teams)]}
			if err := tx.CreateKey(&k, text, f.digests.Digest(text)); err != nil {
				return err
			}
			if n >= owned {
				continue
			}
			b := kinds[n%len(kinds)]
			b.Level, b.Owner = "key", k.ID
			if err := tx.CreateBudget(&b); err != nil {
				return fmt.Errorf("a budget: %w", err)
			}
		}
		return nil
	})
}
