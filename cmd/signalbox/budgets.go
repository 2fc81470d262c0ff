package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
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

// parseAmount reads an amount of a unit: dollars as 500 or 12.50, anything else as a whole number with k or M.
func parseAmount(unit, s string) (int64, error) {
	if unit == "money" {
		n, err := budgets.ParseMoney(strings.TrimSpace(strings.TrimSuffix(s, "USD")) + " USD")
		if err != nil {
			return 0, fmt.Errorf("an amount of money is dollars, as 500 or 12.50")
		}
		return n, nil
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
	if unit == "money" {
		return quota.Amount(quota.Money, n)
	}
	return strconv.FormatInt(n, 10)
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
		"alerts at", strings.Join(at, ", "), "version", versionOf(b.Stamp))
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
	return call(&c.apiFlags, s, adminv1connect.NewBudgetServiceClient, budgetsAPI.ListBudgets, &v1.ListBudgetsRequest{Page: c.page(), Level: c.Level, Owner: c.Owner}, listing("ID LEVEL OWNER UNIT AMOUNT PER MODEL", (*v1.ListBudgetsResponse).GetBudgets, func(b *v1.Budget) []string {
		return []string{b.Id, b.Level, b.Owner, b.Unit, amount(b.Unit, b.Amount), b.Per, b.Model}
	}))
}

// budgetArg names a budget.
type budgetArg struct {
	apiFlags
	ID string `arg:"" help:"Its id."`
}

func (b *budgetArg) get() *v1.GetRequest { return &v1.GetRequest{Id: b.ID} }

type budgetShow struct{ budgetArg }

// Run asks the admin API.
func (c *budgetShow) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewBudgetServiceClient, budgetsAPI.GetBudget, c.get(), showBudget)
}

type budgetChange struct {
	budgetArg
	Amount  string  `help:"How much."`
	Zone    *string `help:"The time zone of days, weeks and months."`
	Soft    *bool   `negatable:"" help:"Whether it tells, and does not refuse."`
	AlertAt []int32 `help:"Percentages at which it tells."`
	versioned
}

// Run asks the admin API.
func (c *budgetChange) Run(s streams) error {
	r := &v1.UpdateBudgetRequest{Id: c.ID, Version: c.Version, AlertAt: c.AlertAt, UpdateMask: &fieldmaskpb.FieldMask{}}
	mask := func(field string) { r.UpdateMask.Paths = append(r.UpdateMask.Paths, field) }
	if c.Amount != "" {
		b, err := askAPI(&c.apiFlags, adminv1connect.NewBudgetServiceClient, budgetsAPI.GetBudget, c.get()) // which knows the unit
		if err != nil {
			return err
		}
		if r.Amount, err = parseAmount(b.Unit, c.Amount); err != nil {
			return err
		}
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
	budgetArg
	versioned
}

// Run asks the admin API.
func (c *budgetDelete) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewBudgetServiceClient, budgetsAPI.DeleteBudget, c.remove(c.ID), done(c.ID))
}
