package main

import (
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// budgetsCmd manages budgets.
type budgetsCmd struct {
	Create budgetCreate `cmd:"" help:"Make a budget."`
	List   budgetList   `cmd:"" help:"List budgets."`
	Show   budgetShow   `cmd:"" help:"Show one."`
	Change budgetChange `cmd:"" help:"Change its amount, zone, softness or alerts."`
	Delete budgetDelete `cmd:"" help:"Delete one: nothing is limited by it any more."`
}

type budgetsAPI = adminv1connect.BudgetServiceClient

// nano is a dollar in the unit of budgets.
const nano = 1_000_000_000

// parseAmount reads an amount of a unit: dollars as 500 or 12.50, anything else as a whole number with k or M.
func parseAmount(unit, s string) (int64, error) {
	if unit == "money" {
		r, ok := new(big.Rat).SetString(strings.TrimSuffix(strings.TrimSpace(strings.TrimSuffix(s, "USD")), " "))
		if ok {
			r.Mul(r, big.NewRat(nano, 1))
		}
		if !ok || strings.ContainsAny(s, "/eE") || !r.IsInt() || !r.Num().IsInt64() || r.Sign() < 0 {
			return 0, fmt.Errorf("an amount of money is dollars, as 500 or 12.50")
		}
		return r.Num().Int64(), nil
	}
	digits, times := s, int64(1)
	if d, ok := strings.CutSuffix(s, "k"); ok {
		digits, times = d, 1_000
	} else if d, ok := strings.CutSuffix(s, "M"); ok {
		digits, times = d, 1_000_000
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > 1<<53/times {
		return 0, fmt.Errorf("an amount of %s is a whole number, as 600 or 200k", unit)
	}
	return n * times, nil
}

// amount writes what parseAmount reads.
func amount(unit string, n int64) string {
	if unit != "money" {
		return strconv.FormatInt(n, 10)
	}
	s := new(big.Rat).SetFrac64(n, nano).FloatString(9)
	s = strings.TrimRight(s, "0")
	if i := strings.IndexByte(s, '.'); len(s)-i < 3 {
		s += strings.Repeat("0", 3-(len(s)-i))
	}
	return s + " USD"
}

func showBudget(w io.Writer, b *v1.Budget) {
	soft := ""
	if b.Soft {
		soft = "yes: it tells, and does not refuse"
	}
	var at []string
	for _, p := range b.AlertAt {
		at = append(at, strconv.Itoa(int(p))+"%")
	}
	fieldLines(w, "id", b.Id, "of", b.Level+" "+b.Owner, "unit", b.Unit, "amount", amount(b.Unit, b.Amount), "per", b.Per, "zone", b.Zone, "model", b.Model, "soft", soft,
		"alerts at", strings.Join(at, ", "), "version", strconv.FormatInt(b.Stamp.GetVersion(), 10))
}

type budgetCreate struct {
	apiFlags
	Level   string  `arg:"" enum:"organization,team,project,key,end_user" help:"Whose it is: organization, team, project, key or end_user (each end user of a key)."`
	Owner   string  `arg:"" help:"The owner's name; of end users the key's."`
	Unit    string  `arg:"" enum:"requests,tokens_in,tokens_out,tokens,money,parallel" help:"What is limited: requests, tokens_in, tokens_out, tokens, money or parallel."`
	Amount  string  `arg:"" help:"How much: dollars for money, else a whole number, as 200k."`
	Per     string  `help:"The window: second, minute, hour, day, week, month or total."`
	Zone    string  `help:"The time zone of days, weeks and months."`
	Model   string  `help:"A model's name, or a pattern."`
	Soft    bool    `help:"Tells, and does not refuse."`
	AlertAt []int32 `help:"Percentages at which it tells, as 50,80,100."`
}

// Run asks the admin API.
func (c *budgetCreate) Run(s streams) error {
	n, err := parseAmount(c.Unit, c.Amount)
	if err != nil {
		return err
	}
	return call(&c.apiFlags, s, adminv1connect.NewBudgetServiceClient, budgetsAPI.CreateBudget, &v1.CreateBudgetRequest{
		Level: c.Level, Owner: c.Owner, Unit: c.Unit, Amount: n, Per: c.Per, Zone: c.Zone, Model: c.Model, Soft: c.Soft, AlertAt: c.AlertAt,
	}, showBudget)
}

type budgetList struct {
	apiFlags
	pageFlags
	Level string `help:"Of this level."`
	Owner string `help:"Of this owner."`
}

// Run asks the admin API.
func (c *budgetList) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewBudgetServiceClient, budgetsAPI.ListBudgets, &v1.ListBudgetsRequest{Page: c.page(), Level: c.Level, Owner: c.Owner}, func(w io.Writer, r *v1.ListBudgetsResponse) {
		var rows [][]string
		for _, b := range r.Budgets {
			rows = append(rows, []string{b.Id, b.Level, b.Owner, b.Unit, amount(b.Unit, b.Amount), b.Per, b.Model})
		}
		columns(w, "ID LEVEL OWNER UNIT AMOUNT PER MODEL", rows)
		more(w, r.NextToken)
	})
}

type budgetShow struct {
	apiFlags
	ID string `arg:"" help:"Its id."`
}

// Run asks the admin API.
func (c *budgetShow) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewBudgetServiceClient, budgetsAPI.GetBudget, &v1.GetRequest{Id: c.ID}, showBudget)
}

type budgetChange struct {
	apiFlags
	ID      string  `arg:"" help:"Its id."`
	Amount  string  `help:"How much."`
	Zone    *string `help:"The time zone of days, weeks and months."`
	Soft    *bool   `negatable:"" help:"Whether it tells, and does not refuse."`
	AlertAt []int32 `help:"Percentages at which it tells."`
	Version int64   `help:"The version that is meant; 0: any."`
}

// Run asks the admin API.
func (c *budgetChange) Run(s streams) error {
	r := &v1.UpdateBudgetRequest{Id: c.ID, Version: c.Version, AlertAt: c.AlertAt, UpdateMask: &fieldmaskpb.FieldMask{}}
	mask := func(field string) { r.UpdateMask.Paths = append(r.UpdateMask.Paths, field) }
	if c.Amount != "" {
		unit := "tokens"
		if strings.Contains("_"+c.ID+"_", "_money_") {
			unit = "money"
		}
		n, err := parseAmount(unit, c.Amount)
		if err != nil {
			return err
		}
		r.Amount = n
		mask("amount")
	}
	if c.Zone != nil {
		r.Zone = *c.Zone
		mask("zone")
	}
	if c.Soft != nil {
		r.Soft = *c.Soft
		mask("soft")
	}
	if c.AlertAt != nil {
		mask("alert_at")
	}
	if len(r.UpdateMask.Paths) == 0 {
		return fmt.Errorf("nothing is changed; name --amount, --zone, --soft or --alert-at")
	}
	return call(&c.apiFlags, s, adminv1connect.NewBudgetServiceClient, budgetsAPI.UpdateBudget, r, showBudget)
}

type budgetDelete struct {
	apiFlags
	ID      string `arg:"" help:"Its id."`
	Version int64  `help:"The version that is meant; 0: any."`
}

// Run asks the admin API.
func (c *budgetDelete) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewBudgetServiceClient, budgetsAPI.DeleteBudget, &v1.DeleteRequest{Id: c.ID, Version: c.Version}, done(c.ID))
}
