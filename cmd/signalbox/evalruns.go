package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/evals"
	"github.com/signalbox-ai/signalbox/internal/evals/remote"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// evalAt is where runs are kept: in a folder, or in the store of a service.
type evalAt struct {
	Dir          string `placeholder:"DIR" default:"run/evals" help:"Folder of the results, a file of JSON lines each."`
	Server       string `placeholder:"ADDRESS" env:"SIGNALBOX_ADMIN" help:"The admin API whose store keeps runs, in place of the folder: unix:PATH of the local socket, or a URL. Runs of the folder can be read beside."`
	TokenFile    string `env:"SIGNALBOX_ADMIN_TOKEN_FILE" type:"existingfile" help:"File of the admin token, a key or an OIDC token; without it $SIGNALBOX_ADMIN_TOKEN is sent, and nothing to the local socket."`
	CA           string `type:"existingfile" help:"File of the authorities (PEM) that the server's certificate is verified with."`
	Organization string `placeholder:"NAME" help:"In a store: the organization of the runs; the token's own or default, if not said."`
}

// place names where runs are written.
func (f *evalAt) place() string {
	if f.Server == "" {
		return f.Dir
	}
	return "the store of " + f.Server
}

// store returns the runs of the store, nil: no service is named.
func (f *evalAt) store() (*remote.Book, error) {
	if f.Server == "" {
		return nil, nil
	}
	api := apiFlags{Server: f.Server, TokenFile: f.TokenFile, CA: f.CA}
	h, base, proof, err := api.proven()
	if err != nil {
		return nil, err
	}
	return &remote.Book{API: adminv1connect.NewEvalServiceClient(h, base, proof), Word: api.refused, Organization: f.Organization}, nil
}

// evalPage is a run that is being written.
type evalPage interface {
	Done(id, target string) bool
	Add(evals.Outcome) error
	All() []evals.Outcome
	Close() error
}

// open begins a run where it is to be kept, or goes on with it.
func (c *evalRunCmd) open(ctx context.Context, run evals.Run, set []evals.Case) (evalPage, error) {
	b, err := c.store()
	switch {
	case err != nil:
		return nil, err
	case b != nil:
		b.Team = c.Team
		return b.Open(ctx, run, set, c.Keep)
	case c.Team != "" || c.Organization != "":
		return nil, errors.New("--team and --organization are of runs in a store: name its service with --server")
	}
	return evals.Book{Dir: c.Dir}.Open(run)
}

// read returns a run and its outcomes: of the store, where it has one of the name, else of the folder.
func (f *evalAt) read(name string, texts bool) (evals.Run, []evals.Outcome, error) {
	b, err := f.store()
	if err != nil {
		return evals.Run{}, nil, err
	}
	if b == nil {
		return evals.Book{Dir: f.Dir}.Read(name)
	}
	run, all, err := b.Read(context.Background(), name, texts)
	if !errors.Is(err, remote.ErrMissing) {
		return run, all, err
	}
	if run, all, err = (evals.Book{Dir: f.Dir}).Read(name); err != nil {
		return run, all, fmt.Errorf("%w, nor in %s", err, f.place())
	}
	return run, all, nil
}

type evalListCmd struct {
	evalAt
	JSON bool `name:"json" help:"Write a JSON object a line."`
}

// keptRun is a run in a list.
type keptRun struct {
	evals.Run
	In string `json:"in"` // store or folder
}

// Run lists the runs.
func (c *evalListCmd) Run(s streams) error {
	filed, err := evals.Book{Dir: c.Dir}.List()
	if err != nil {
		return err
	}
	var runs []keptRun
	for _, r := range filed {
		runs = append(runs, keptRun{r, "folder"})
	}
	b, err := c.store()
	if err != nil {
		return err
	}
	if b != nil {
		kept, err := b.List(context.Background())
		if err != nil {
			return err
		}
		for _, r := range kept {
			runs = append(runs, keptRun{r, "store"})
		}
	}
	slices.SortStableFunc(runs, func(a, b keptRun) int { return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(a.Name, b.Name)) })
	return c.write(s.out, runs)
}

func (c *evalListCmd) write(out io.Writer, runs []keptRun) error {
	if c.JSON {
		for i := range runs {
			if err := printJSON(out, &runs[i]); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tIN\tBEGAN\tBY\tSET\tCONFIGURATION\tTARGETS")
	for _, r := range runs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.In, r.Began.Format(time.DateTime), cmp.Or(r.Author, "-"), r.Set, cmp.Or(strings.Join(r.Configs, ", "), "-"), strings.Join(r.Targets, ", "))
	}
	return w.Flush()
}

type evalShowCmd struct {
	evalAt
	evalForm
	Cases bool   `help:"List each case that does not pass, and why; with --json all outcomes, a line each, as a file has them."`
	Name  string `arg:"" help:"The run."`
}

// shownRun is a run as JSON shows it.
type shownRun struct {
	evals.Comparison
	Run evals.Run `json:"run"`
}

// Run shows a run.
func (c *evalShowCmd) Run(s streams) error {
	run, all, err := c.read(c.Name, c.Cases && c.JSON)
	if err != nil {
		return err
	}
	if c.Cases {
		return c.cases(s.out, &run, all)
	}
	shown := shownRun{evals.Compare(run.Name, run.Targets, all), run}
	if c.JSON {
		return printJSON(s.out, &shown)
	}
	if err := writeComparison(s.out, &shown.Comparison, false, c.CSV); err != nil || c.CSV || run.Author == "" {
		return err
	}
	_, err = fmt.Fprintf(s.out, "\nin %s: set %s of %d cases, configuration %s, begun by %s on %s\n", c.place(), run.Set, run.Cases, cmp.Or(strings.Join(run.Configs, ", "), "unknown"), run.Author, run.Began.Format(time.DateTime))
	return err
}

func (c *evalShowCmd) cases(out io.Writer, run *evals.Run, all []evals.Outcome) error {
	if c.JSON {
		if err := printJSON(out, run); err != nil {
			return err
		}
		for i := range all {
			if err := printJSON(out, &all[i]); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CASE\tTARGET\tWHY")
	for i := range all {
		if o := &all[i]; !o.Pass {
			fmt.Fprintf(w, "%s\t%s\t%s\n", o.Case, o.Target, o.Why())
		}
	}
	return w.Flush()
}

type evalDiffCmd struct {
	evalAt
	JSON bool   `name:"json" help:"Write the comparison as JSON."`
	Old  string `arg:"" help:"The run before."`
	New  string `arg:"" help:"The run after."`
}

// Run compares two runs.
func (c *evalDiffCmd) Run(s streams) error {
	old, before, err := c.read(c.Old, false)
	if err != nil {
		return err
	}
	now, after, err := c.read(c.New, false)
	if err != nil {
		return err
	}
	if old.Set != now.Set {
		return fmt.Errorf("the runs %s and %s are of different sets: %s and %s", c.Old, c.New, old.Set, now.Set)
	}
	cmp := evals.Diff(old, before, now, after)
	return writeComparison(s.out, &cmp, c.JSON, false)
}

type evalDeleteCmd struct {
	evalAt
	Name string `arg:"" help:"The run: of the store, where a service is named, else of the folder."`
}

// Run deletes a run.
func (c *evalDeleteCmd) Run(s streams) error {
	b, err := c.store()
	switch {
	case err != nil:
	case b != nil:
		err = b.Delete(context.Background(), c.Name)
	default:
		err = evals.Book{Dir: c.Dir}.Delete(c.Name)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s is deleted from %s\n", c.Name, c.place())
	return err
}
