package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/routing"
)

// modelsCmd lists models.
type modelsCmd struct {
	Filter   string   `arg:"" optional:"" help:"Part of a name, or a pattern (* any run, ? one character)."`
	JSON     bool     `name:"json" help:"Write a JSON object a line, with all that is known."`
	Provider string   `placeholder:"NAME" help:"Only the models of this provider."`
	Ability  []string `placeholder:"NAME" help:"Only models that have this ability; may be given again."`
	Config   string   `short:"c" placeholder:"FILE" type:"existingfile" help:"List the models of this configuration's providers, as it declares them."`
}

// Run lists what the flags leave.
func (c *modelsCmd) Run(s streams) error {
	all, err := app.Models(c.Config)
	if err != nil {
		return err
	}
	keep, err := c.wanted(all)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(m app.Model) bool { return !keep(&m) })
	if len(all) == 0 {
		return fmt.Errorf("no model fits; signalbox models lists all that are known")
	}
	if c.JSON {
		return writeJSON(s.out, all)
	}
	return writeTable(s.out, all, time.Now())
}

// wanted makes the test that a listed model passes.
func (c *modelsCmd) wanted(all []app.Model) (func(*app.Model) bool, error) {
	var need ability.Set
	for _, name := range c.Ability {
		a, ok := ability.Parse(name)
		if !ok {
			return nil, fmt.Errorf("--ability: unknown ability %q; %s", name, suggest(name, ability.Names()))
		}
		need |= a
	}
	vendor := catalog.Vendor(c.Provider)
	if c.Provider != "" && !slices.ContainsFunc(all, func(m app.Model) bool { return m.Provider == c.Provider || m.Provider == vendor }) {
		var names []string
		for _, m := range all {
			names = append(names, m.Provider)
		}
		return nil, fmt.Errorf("--provider: no models of %q are known; %s", c.Provider, suggest(c.Provider, slices.Compact(names)))
	}
	filter := strings.ToLower(c.Filter)
	if filter != "" && !glob.Is(filter) {
		filter = "*" + filter + "*"
	}
	return func(m *app.Model) bool {
		return (c.Provider == "" || m.Provider == c.Provider || m.Provider == vendor) && (m.Can &^ m.Cannot).Has(need) &&
			(filter == "" || glob.Match(filter, strings.ToLower(m.ID)) || glob.Match(filter, m.Name))
	}, nil
}

// suggest names what is near, or all that is possible.
func suggest(name string, names []string) string {
	if near := routing.Nearest(name, names); len(near) > 0 {
		return "did you mean " + strings.Join(near, ", ") + "?"
	}
	return "possible: " + strings.Join(names, ", ")
}

// shown are the abilities that a table has room for.
const shown = ability.Tools | ability.JSONSchema | ability.Reasoning | ability.Vision | ability.PDF | ability.AudioIn | ability.VideoIn | ability.Caching | ability.WebSearch | ability.Batch

func writeTable(out io.Writer, models []app.Model, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "MODEL\tPROVIDER\tCONTEXT\tOUTPUT\t$/M IN\t$/M OUT\tRETIRES\tABILITIES")
	for i := range models {
		m := &models[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.Provider, count(m.Context), count(m.MaxOutput),
			dollars(m.Card, price.Input, now), dollars(m.Card, price.Output, now), dash(m.Dates.Retires), dash((m.Can &^ m.Cannot & shown).String()))
	}
	return w.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// count writes a number of tokens.
func count(n int64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// dollars writes what a million tokens cost at a time, or that it is not known.
func dollars(c *price.Card, i price.Item, at time.Time) string {
	if c == nil {
		return "-"
	}
	rate, ok := c.At(at).Get(i)
	if !ok {
		return "-"
	}
	return rate.Million()
}

func writeJSON(out io.Writer, models []app.Model) error {
	w := bufio.NewWriter(out)
	var line []byte
	for i := range models {
		m := models[i].Model
		m.Vendor = models[i].Provider
		line = append(m.AppendJSON(line[:0]), '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return w.Flush()
}
