package control

import (
	"context"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/store"
)

// Owned returns the budgets of the store in the form of the limits that the file has. One whose owner is gone is left out.
func (c *Control) Owned(ctx context.Context) ([]budgets.Owned, error) {
	if c == nil {
		return nil, nil
	}
	var out []budgets.Owned
	err := c.store.EachBudget(ctx, func(b *store.Budget, of auth.Owner, key string) error {
		level := b.Level
		if level == "end_user" {
			level = "key"
		}
		s := budgets.Settings{}
		s.Limits.Rules = []budgets.Rule{rule(b)}
		party := budgets.Party{Organization: of.Organization, Team: of.Team, Project: of.Project, Key: key}
		out = append(out, budgets.Owned{Level: level, Party: party, Settings: s})
		return nil
	})
	return out, err
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
