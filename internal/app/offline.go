package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/counting"
	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/backtest"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/config/access"
	"github.com/signalbox-ai/signalbox/internal/config/idle"
	"github.com/signalbox-ai/signalbox/internal/control"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/rerate"
	"github.com/signalbox-ai/signalbox/internal/ledger/stores"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/internal/tokens"
	"github.com/signalbox-ai/signalbox/internal/translate"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

// look reads the store of a configuration, where it has one that can be reached; w is told what of it cannot be used. The
// warnings say why it could not be read: who decides then decides as if it were empty.
func look(ctx context.Context, cfg *config.Config, w io.Writer) (*control.Control, config.Warnings) {
	const patience = 5 * time.Second
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	log, err := telemetry.NewLogger(w, "text", "warn")
	if err != nil {
		return nil, nil
	}
	c, err := control.Look(ctx, cfg, all.Kinds(), log)
	if err != nil {
		return nil, config.Warnings{cfg.Fault("store", "the store cannot be read here, and counts as empty: its keys, templates and budgets, and how experiments stand, are not known: "+err.Error())}
	}
	return c, nil
}

// fresh reports whether a store is a file that is not there yet.
func fresh(address string) bool {
	path, file := strings.CutPrefix(address, "sqlite:")
	_, err := os.Stat(path)
	return file && errors.Is(err, fs.ErrNotExist)
}

// Check does everything with a configuration that New does but serve: it reads it, fetches its secrets and
// makes its providers, and reads the templates of its store. What no request or no target can meet is returned beside; w is told
// what of the store cannot be used.
func Check(ctx context.Context, path string, w io.Writer) (*config.Config, config.Warnings, error) {
	cfg, err := Load(path)
	if err != nil {
		return nil, nil, err
	}
	kept, unread := look(ctx, cfg, w)
	defer kept.Close()
	if at, _ := cfg.StoreAddress(ctx); fresh(at) {
		unread = nil // the first start makes it
	}
	s, err := (&builder{kinds: all.Kinds(), mock: nowhere(), control: kept}).snapshot(ctx, cfg, nil)
	if err != nil {
		return cfg, nil, err
	}
	exchange.New(s, exchange.Options{}) // which finds what is known of targets
	return cfg, append(unread, idle.Find(cfg, idle.Facts{About: s.About, Templates: s.Templates, Stored: kept != nil, Speaks: func(t *routing.Target, op llm.Op) bool {
		for client := range s.Servers {
			if s.Speaks(t, op, client) {
				return true
			}
		}
		return false
	}})...), nil
}

// CheckTemplate says what is wrong with a version of a template that is not in the folder of a configuration yet.
func CheckTemplate(config, path string) error {
	cfg, err := Load(config)
	if err != nil {
		return err
	}
	return cfg.CheckTemplate(path, all.Kinds())
}

// Deciding returns exchanges that decide by the configuration at path and by what its store has, as of a time and by a seed, and
// send nothing. No secret is fetched but where the store is, and nothing is known of the targets' health. w is told why the store
// could not be read, and what of it cannot be used.
func Deciding(ctx context.Context, path string, now time.Time, seed uint64, w io.Writer) (*exchange.Core, error) {
	cfg, err := Load(path)
	if err != nil {
		return nil, err
	}
	set, err := vocabularies(cfg)
	if err != nil {
		return nil, err
	}
	kept, unread := look(ctx, cfg, w)
	defer kept.Close()
	fmt.Fprint(w, unread.Report())
	s, err := (&builder{kinds: all.Kinds(), mock: nowhere(), count: counting.New(set), dry: true, control: kept, access: access.Live{Issued: kept.Issued()}}).snapshot(ctx, cfg, nil)
	if err != nil {
		return nil, err
	}
	s.Version, _, _ = strings.Cut(s.Version, "-") // it is of no process
	return exchange.New(s, exchange.Options{Now: func() time.Time { return now }, Seed: func() uint64 { return seed }, Board: kept.Board()}), nil
}

// Ways returns what makes the configuration at path ready for a backtest, each time with a health of targets of its own. w is
// told why its store could not be read.
func Ways(ctx context.Context, path string, w io.Writer) (func() (*backtest.Ways, error), error) {
	cfg, err := Load(path)
	if err != nil {
		return nil, err
	}
	kept, unread := look(ctx, cfg, w)
	defer kept.Close()
	fmt.Fprint(w, unread.Report())
	prompts := kept.Prompts(cfg)
	pinned := func(tags map[string]string) string { return prompts.Route(tags[template.Tag]) }
	open := func() (*backtest.Ways, error) {
		s, err := (&builder{kinds: all.Kinds(), mock: nowhere(), dry: true}).snapshot(ctx, cfg, nil)
		if err != nil {
			return nil, err
		}
		exchange.New(s, exchange.Options{}) // which binds the snapshot to a health of its own
		return &backtest.Ways{Table: s.Table, About: s.About, Pinned: pinned, Speaks: func(t *routing.Target, op llm.Op, client string) bool {
			return s.Speaks(t, op, dialect.Name(client))
		}}, nil
	}
	_, err = open()
	return open, err
}

// Translator returns a translator over all kinds and front doors.
func Translator() *translate.Translator { return translate.New(all.Kinds(), all.Servers()) }

// Tokens returns a tool that counts for all models and front doors. vocab are files of vocabularies that are not
// shipped, by name.
func Tokens(vocab map[string]string) (*tokens.Tool, error) {
	loaded := map[string]tokenizer.Text{}
	for name, path := range vocab {
		var err error
		if loaded[name], err = vocabulary(name, path); err != nil {
			return nil, fmt.Errorf("--vocab %s=%s: %w", name, path, err)
		}
	}
	return &tokens.Tool{Set: tokenizer.NewSet(loaded), Servers: all.Servers()}, nil
}

// Model is a model at a provider, as a list shows it.
type Model struct {
	Provider string // as configured, or a vendor's name where no configuration counts
	catalog.Model
}

// Models returns the models that the program knows, by provider and name: with a configuration file those of its
// providers, with what it declares; without one, all.
func Models(path string) ([]Model, error) {
	var out []Model
	if path == "" {
		for _, m := range catalog.All() {
			out = append(out, Model{m.Vendor, m})
		}
		return out, nil
	}
	cfg, err := Load(path)
	if err != nil {
		return nil, err
	}
	for i := range cfg.Providers {
		p := &cfg.Providers[i]
		for _, m := range p.Deployment().Models() {
			out = append(out, Model{p.Name, m})
		}
	}
	slices.SortStableFunc(out, func(a, b Model) int { return strings.Compare(a.Provider, b.Provider) })
	return out, nil
}

// Ledger opens the ledger of a configuration file, or the one at an address, which goes first. A file that is not there
// is not made.
func Ledger(ctx context.Context, path, address string) (book.Store, error) {
	var password secret.Ref
	if path != "" || address == "" {
		cfg, err := Load(path)
		if err != nil {
			return nil, err
		}
		if address == "" {
			address = cfg.Ledger.Store
		}
		password = cfg.Ledger.Password
	}
	at, err := book.Locate(address)
	if err != nil {
		return nil, fmt.Errorf("the ledger's address %w", err)
	}
	if at.SQLite != "" {
		if _, err := os.Stat(at.SQLite); err != nil {
			return nil, fmt.Errorf("the ledger: %w", err)
		}
	}
	return stores.Open(ctx, address, password)
}

// Pricer prices attempts of the ledger by the catalog and, where there is a configuration file, by what it says of its
// providers. Without one, a provider is taken to be of the kind that the record names.
func Pricer(path string) (rerate.Pricer, error) {
	if path == "" {
		return pricer(nil), nil
	}
	cfg, err := Load(path)
	if err != nil {
		return nil, err
	}
	return pricer(cfg), nil
}

// pricer is Pricer of a configuration, nil: there is none.
func pricer(cfg *config.Config) rerate.Pricer {
	providers := map[string]*config.Provider{}
	if cfg != nil {
		for i := range cfg.Providers {
			providers[cfg.Providers[i].Name] = &cfg.Providers[i]
		}
	}
	type priced struct {
		models   *catalog.Deployment
		contract *billing.Contract
	}
	known := map[string]priced{}
	return func(at time.Time, a *ledger.Attempt, units cost.Units) (rerate.Price, bool) {
		p, ok := known[a.Provider+" "+a.Kind]
		if !ok {
			if c := providers[a.Provider]; c != nil {
				p = priced{c.Deployment(), c.Contract()}
			} else if cfg == nil {
				p = priced{models: catalog.NewDeployment(cmp.Or(a.Kind, a.Provider), nil)}
			}
			known[a.Provider+" "+a.Kind] = p
		}
		m, _ := p.models.Find(a.Model)
		terms := p.contract.Terms(a.Model, at)
		terms.Service = cmp.Or(a.Service, terms.Service) // where nobody said it, it is the account's
		terms.Region, terms.Switches, terms.Search = a.Priced.Region, a.Priced.Switches, a.Priced.Search
		terms.Look = price.Look{Size: a.Priced.Size, Quality: a.Priced.Quality}
		if m.Card == nil && !terms.Free && !terms.Ceiling.Stated() {
			return rerate.Price{}, false
		}
		return rerate.Price{Bill: cost.Of(m.Card, units, terms), Card: m.Card.Hash(), Version: p.models.Version(a.Model)}, true
	}
}
