package control

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/store"
)

// Owned returns the budgets of the store in the form of the limits that the file has. One whose owner is gone is left out.
func (c *Control) Owned(ctx context.Context) ([]budgets.Owned, error) {
	if c == nil {
		return nil, nil
	}
	var out []budgets.Owned
	p := store.Page{Size: 1000}
	for {
		all, next, err := c.store.Budgets(ctx, "", "", p)
		if err != nil {
			return nil, err
		}
		for i := range all {
			party, level, ok, err := c.party(ctx, &all[i])
			if err != nil {
				return nil, err
			}
			if ok {
				s := budgets.Settings{}
				s.Limits.Rules = []budgets.Rule{rule(&all[i])}
				out = append(out, budgets.Owned{Level: level, Party: party, Settings: s})
			}
		}
		if next == "" {
			return out, nil
		}
		p.After = next
	}
}

// party finds out whom a budget is of; ok is false where the owner is gone.
func (c *Control) party(ctx context.Context, b *store.Budget) (p budgets.Party, level string, ok bool, err error) {
	level = b.Level
	switch b.Level {
	case "organization":
		p.Organization = b.Owner
		return p, level, true, nil
	case "key", "end_user":
		level = "key"
		k, e := c.store.Key(ctx, b.Owner)
		p, err = budgets.Party{Organization: k.Organization, Team: k.Team, Project: k.Project, Key: k.ID}, e
	case "project":
		j, e := c.store.Project(ctx, b.Owner)
		if err = e; err == nil {
			var t store.Team
			t, err = c.store.Team(ctx, j.Team)
			p = budgets.Party{Organization: t.Organization, Team: j.Team, Project: j.Name}
		}
	default:
		t, e := c.store.Team(ctx, b.Owner)
		p, err = budgets.Party{Organization: t.Organization, Team: t.Name}, e
	}
	if f, bad := errors.AsType[*store.Fault](err); bad && f.Reason == store.Missing {
		return p, level, false, nil
	}
	return p, level, err == nil, err
}

// rule writes a budget as the file would.
func rule(b *store.Budget) budgets.Rule {
	r := budgets.Rule{Unit: map[string]string{"tokens_in": "input_tokens", "tokens_out": "output_tokens"}[b.Unit], Window: b.Per}
	if r.Unit == "" {
		r.Unit = b.Unit
	}
	if b.Unit == "money" {
		r.Spend = dollars(b.Amount)
	} else {
		r.Amount = int(b.Amount)
	}
	if b.Model != "" {
		r.Models = []string{b.Model}
	}
	if b.Level == "end_user" {
		r.Each = []string{"end_user"}
	}
	r.Zone, r.Soft = b.Zone, b.Soft
	for _, n := range b.AlertAt {
		r.AlertAt = append(r.AlertAt, strconv.Itoa(n)+"%")
	}
	return r
}

// dollars writes nano-dollars as ParseMoney reads them.
func dollars(n int64) string {
	s := strings.TrimRight(new(big.Rat).SetFrac64(n, 1_000_000_000).FloatString(9), "0")
	return fmt.Sprint(strings.TrimSuffix(s, "."), " USD")
}
