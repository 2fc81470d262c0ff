package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/evals"
	"github.com/signalbox-ai/signalbox/internal/evals/gateway"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// evalCmd compares models by a set of questions.
type evalCmd struct {
	Run  evalRunCmd  `cmd:"" default:"withargs" help:"Ask a set of questions of several targets, check the answers and compare."`
	List evalListCmd `cmd:"" help:"List the runs that are kept."`
	Show evalShowCmd `cmd:"" help:"Show a run again: its table, or each case."`
	Diff evalDiffCmd `cmd:"" help:"Compare two runs of the same set, case by case."`

	Delete evalDeleteCmd `cmd:"" help:"Delete a run."`
}

// evalForm is how a comparison is written.
type evalForm struct {
	JSON bool `name:"json" help:"Write the comparison as JSON."`
	CSV  bool `name:"csv" help:"Write the scores as CSV."`
}

// evalPatience is what happens while the gateway is busy.
type evalPatience struct {
	Tries   int           `default:"6" help:"How often a question is asked of a gateway that is busy."`
	MaxWait time.Duration `name:"max-wait" default:"2m" help:"The longest to wait because the gateway asks for it."`
}

type evalRunCmd struct {
	evalAt
	evalForm
	evalPatience
	Targets  []string `placeholder:"NAME" required:"" help:"The targets, by commas: models as clients may name them, such as openai/gpt-5.1."`
	BaseURL  string   `name:"base-url" placeholder:"URL" default:"http://127.0.0.1:8080/v1" help:"The gateway."`
	Key      string   `placeholder:"REF" env:"SIGNALBOX_KEY_REF" help:"The client's key by reference: env:NAME or file:PATH."`
	Judge    string   `placeholder:"MODEL" help:"The model that judges, where a check names none."`
	Parallel int      `default:"4" help:"How many questions are under way at a time."`
	MaxCost  string   `name:"max-cost" placeholder:"USD" help:"End the run when it has cost so much, judges included, such as 5 or 0.50; of what has a known price."`
	Stream   bool     `default:"true" negatable:"" help:"Ask for streams, to learn the time to the first token."`
	Keep     bool     `help:"Keep what was answered; in a store, where evals.content allows it."`
	Team     string   `placeholder:"NAME" help:"In a store: the team that the run is for; the token's own, or none, if not said."`
	Name     string   `placeholder:"NAME" help:"Name of the run; one that was cut short goes on. Else one is made of the time."`
	Config   string   `short:"c" placeholder:"FILE" type:"existingfile" help:"Configuration whose prices count."`
	Set      string   `arg:"" type:"existingfile" help:"The set: a JSON object a line."`
}

// Run runs the set.
func (c *evalRunCmd) Run(s streams) error {
	set, err := readSet(c.Set)
	if err != nil {
		return err
	}
	r, err := c.runner(set)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	name := c.Name
	if name == "" {
		name = began.UTC().Format("20060102-150405")
	}
	page, err := c.open(ctx, evals.Run{Name: name, Set: evals.Hash(set), Cases: len(set), Targets: c.Targets, Judge: c.Judge, Began: began.UTC().Truncate(time.Second)}, set)
	if err != nil {
		return err
	}
	err = c.ask(ctx, r, set, page, s.err)
	if e := page.Close(); e != nil { // whatever else happened: what is not kept is asked again
		return fmt.Errorf("%w; go on with --name %s", e, name)
	}
	all := len(set) * len(c.Targets)
	if err != nil && !errors.Is(err, evals.ErrSpent) && ctx.Err() == nil {
		return err
	}
	cmp := evals.Compare(name, c.Targets, page.All())
	if e := writeComparison(s.out, &cmp, c.JSON, c.CSV); e != nil {
		return e
	}
	if err != nil {
		return fmt.Errorf("%d of %d are done: %w; go on with --name %s", len(page.All()), all, err, name)
	}
	if !c.JSON && !c.CSV {
		fmt.Fprintf(s.out, "\nkept as %s in %s\n", name, c.place())
	}
	return nil
}

// ask asks what is not done, and tells how far it is.
func (c *evalRunCmd) ask(ctx context.Context, r *evals.Runner, set []evals.Case, page evalPage, tell io.Writer) error {
	all := len(set) * len(c.Targets)
	return r.Run(ctx, set, page.Done, func(o evals.Outcome) error {
		if err := page.Add(o); err != nil {
			return err
		}
		if n := len(page.All()); !c.JSON && !c.CSV && (n%100 == 0 || n == all) {
			fmt.Fprintf(tell, "%d of %d\n", n, all)
		}
		return nil
	})
}

// runner makes what asks.
func (c *evalRunCmd) runner(set []evals.Case) (*evals.Runner, error) {
	if evals.NeedsJudge(set) && c.Judge == "" {
		return nil, fmt.Errorf("--judge: the set has checks by a model, and none is named")
	}
	if c.Parallel < 1 || c.Parallel > 256 {
		return nil, fmt.Errorf("--parallel: must be 1 to 256")
	}
	var most int64
	if c.MaxCost != "" {
		var err error
		if most, err = nanoUSD(c.MaxCost); err != nil {
			return nil, fmt.Errorf("--max-cost: %w", err)
		}
	}
	var key secret.Value
	if c.Key != "" {
		ref, err := secret.Parse(c.Key)
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		if key, err = ref.Resolve(context.Background()); err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
	}
	price, err := pricing(c.Config)
	if err != nil {
		return nil, err
	}
	return &evals.Runner{
		Asker: &gateway.Client{Base: c.BaseURL, Key: key, Price: price}, Targets: c.Targets, Parallel: c.Parallel, Most: most,
		Tries: c.Tries, Judge: c.Judge, Stream: c.Stream, Keep: c.Keep, Wait: c.MaxWait,
	}, nil
}

// nanoUSD reads dollars.
func nanoUSD(s string) (int64, error) {
	r, err := price.Parse(s)
	if err != nil || r <= 0 {
		return 0, fmt.Errorf("must be dollars above 0, such as 5 or 0.50")
	}
	return int64(r) / 1e6, nil
}

// pricing prices answers by the list, or by a configuration's.
func pricing(config string) (gateway.Price, error) {
	all, err := app.Models(config)
	if err != nil {
		return nil, err
	}
	cards := map[string]*price.Card{}
	for i := range all {
		if c := all[i].Card; c != nil {
			cards[all[i].Provider+"/"+all[i].Name] = c
		}
	}
	return func(target string, a *evals.Answer) (int64, bool) {
		if a.Target != "" { // where it went, and not what it is called
			target = a.Target
		}
		card := cards[target]
		if card == nil {
			return 0, false
		}
		var u cost.Units
		u[price.Input], u[price.CacheRead], u[price.Output] = max(a.Prompt-a.Cached, 0), a.Cached, a.Output
		b := cost.Of(card, u, cost.Terms{At: time.Now()})
		return b.Nano, b.Flags&cost.Unpriced == 0
	}, nil
}

func readSet(path string) ([]evals.Case, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	set, err := evals.ReadSet(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return set, nil
}

func writeComparison(out io.Writer, c *evals.Comparison, asJSON, asCSV bool) error {
	switch {
	case asJSON:
		return printJSON(out, c)
	case asCSV:
		return c.CSV(out)
	}
	return c.Text(out)
}
