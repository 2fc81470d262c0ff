package control

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/store"
)

// Owned returns the budgets of the store in the form of the limits that the file has, one after the other: each is overwritten by
// the next one, but not its lists. One whose owner is gone is left out. An error is the last that comes.
func (c *Control) Owned(ctx context.Context) iter.Seq2[*budgets.Owned, error] {
	return func(yield func(*budgets.Owned, error) bool) {
		if c == nil {
			return
		}
		enough := errors.New("no more are wanted")
		var o budgets.Owned
		err := c.store.EachBudget(ctx, func(b *store.Budget, of auth.Owner, key string) error {
			o.Level = b.Level
			if b.Level == "end_user" {
				o.Level = "key"
			}
			o.Party = budgets.Party{Organization: of.Organization, Team: of.Team, Project: of.Project, Key: key}
			o.Limits.Rules = []budgets.Rule{rule(b)}
			if !yield(&o, nil) {
				return enough
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			yield(nil, fmt.Errorf("the store's budgets: %w", err))
		}
	}
}

// rule writes a budget as the file would.
func rule(b *store.Budget) budgets.Rule {
	r := budgets.Rule{Unit: b.Unit, Window: b.Per}
	switch b.Unit {
	case "tokens_in":
		r.Unit = "input_tokens"
	case "tokens_out":
		r.Unit = "output_tokens"
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

// dollars writes nano-dollars, of which there are some, as ParseMoney reads them.
func dollars(n int64) string {
	const each = 1_000_000_000
	s := strconv.FormatInt(n/each, 10)
	if part := n % each; part > 0 {
		s += "." + strings.TrimRight(strconv.FormatInt(each+part, 10)[1:], "0")
	}
	return s + " USD"
}
