package exchange_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/counting"
	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/mock"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

func itoa(n int) string { return strconv.Itoa(n) }

// rig is a process of ours with its configuration, and what Envoy keeps of the exchange at hand.
type rig struct {
	t   testing.TB
	at  string // file and line of the script
	mu  sync.Mutex
	out []string // what the command at hand came to

	config  config
	core    *exchange.Core
	stale   bool // the configuration changed since the snapshot was made
	log     bytes.Buffer
	secrets map[string]string // secret to its owner
	envoy   envoy
	n       int // requests so far
}

// config is what scripts set up.
type config struct {
	providers map[string]*providers.Provider
	routes    []*routing.Route
	aliases   map[string]string
	clients   []*auth.Key
	own       map[auth.Provision]secret.Value // provider keys of teams
	counts    bool
	prompts   []template.Source
	meter     *metering.Meter
	once      *idempotency.Desk
	line      *queue.Queue
	limits    metering.Limits
	maxBody   int64
	maxAnswer int64
	version   int
}

func newRig(t testing.TB) *rig {
	return &rig{t: t, stale: true, secrets: map[string]string{}, config: config{
		providers: map[string]*providers.Provider{}, aliases: map[string]string{}, own: map[auth.Provision]secret.Value{}, maxBody: 1 << 20, maxAnswer: 1 << 20,
	}}
}

func (r *rig) fatalf(format string, args ...any) {
	r.t.Helper()
	r.t.Fatalf("%s: %s", r.at, fmt.Sprintf(format, args...))
}

func (r *rig) sayf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = append(r.out, fmt.Sprintf(format, args...))
}

// servers are the front doors.
func servers() map[dialect.Name]dialect.Server { return all.Servers() }

func (r *rig) snapshot() *exchange.Snapshot {
	c := &r.config
	c.version++
	keys := auth.Open(auth.Options{})
	if len(c.clients) > 0 {
		brought := &auth.Provided{}
		brought.Replace(maps.Clone(c.own))
		keys = auth.NewGate(c.clients, auth.Options{Provided: brought})
	}
	ps := map[string]*providers.Provider{}
	maps.Copy(ps, c.providers)
	var count *counting.Counter
	if c.counts {
		for _, name := range []string{"o200k_base", "cl100k_base", "claude-3"} { // no request waits for them
			if _, err := tokenizer.Encoding(name); err != nil {
				r.t.Fatal(err)
			}
		}
		count = counting.New(tokenizer.NewSet(nil))
	}
	var prompts *template.Set
	if len(c.prompts) > 0 {
		prompts = template.NewSet(c.prompts, nil)
		prompts.Bind(servers())
	}
	s := &exchange.Snapshot{
		Version: "config-" + itoa(c.version), Table: routing.NewTable(c.routes, c.aliases), Providers: ps, Registry: all.Kinds(),
		Servers: servers(), Keys: keys, MaxBody: c.maxBody, MaxAnswer: c.maxAnswer, Metered: exchange.Metered{Meter: c.meter, Limits: c.limits, Once: c.once, Line: c.line},
	}
	s.Count, s.Templates = count, prompts
	return s
}

// start puts the configuration in place, at first and after changes.
func (r *rig) start() {
	switch {
	case !r.stale:
	case r.core == nil:
		r.core = exchange.New(r.snapshot(), exchange.Options{
			Now: time.Now, Seed: func() uint64 { return 0 }, Observer: journal{r},
			Log: slog.New(slog.NewJSONHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
	default:
		r.core.Swap(r.snapshot())
	}
	r.stale = false
}

// finish checks what holds at the end of every script.
func (r *rig) finish() {
	for s, owner := range r.secrets {
		if strings.Contains(r.log.String(), s) {
			r.t.Errorf("%s: the secret of %s is in the log", r.at, owner)
		}
	}
}

// provider NAME KIND [base=URL] [speaks=DIALECT] [region=NAME] [ID=SECRET]….
func (r *rig) provider(args []string) {
	name, base, speaks, region := args[0], "", "", ""
	kind, ok := all.Kinds().Kind(args[1])
	if !ok {
		r.fatalf("unknown kind %q", args[1])
	}
	var keys []providers.Key
	for _, a := range args[2:] {
		n, v, _ := strings.Cut(a, "=")
		switch n {
		case "base":
			base = v
		case "speaks":
			speaks = v
		case "region":
			region = v
		default:
			keys = append(keys, providers.Key{ID: n, Secret: secret.New(v)})
			r.secrets[v] = name
		}
	}
	r.config.providers[name] = newProvider(r.t, kind, name, base, speaks, keys...)
	r.config.providers[name].Region = region
}

func newProvider(t testing.TB, kind providers.Kind, name, base, speaks string, keys ...providers.Key) *providers.Provider {
	t.Helper()
	if base == "" {
		if base = strings.NewReplacer("{account}", "acct", "{region}", "region").Replace(kind.BaseURL); base == "" {
			base = "http://" + name + ".example/v1"
		}
	}
	u, err := providers.ParseBase(base)
	if err != nil {
		t.Fatalf("provider %s: base: %v", name, err)
	}
	var params any
	if kind.Params != nil {
		params = kind.Params()
		if m, ok := params.(*mock.Params); ok && speaks != "" {
			m.Speaks = []string{speaks}
		}
	}
	a, err := kind.New(providers.Env{Name: name, BaseURL: u}, params)
	if err != nil {
		t.Fatalf("provider %s: %v", name, err)
	}
	return &providers.Provider{Name: name, Kind: kind.Name, Base: u, Adapter: a, Keys: providers.NewKeyring(keys...)}
}

// route NAME MODELS… -> TARGETS… [option[=value]]….
func (r *rig) route(args []string) {
	rt := &routing.Route{Name: args[0], Failover: routing.Failover{FirstToken: true, Budget: 20}}
	targets := false
	for _, a := range args[1:] {
		n, v, set := strings.Cut(a, "=")
		p, m, target := strings.Cut(a, "/")
		switch {
		case a == "->":
			targets = true
		case !targets:
			rt.Models = append(rt.Models, a)
		case target && !set:
			rt.Targets = append(rt.Targets, routing.Target{Provider: p, Model: m})
		default:
			r.option(rt, n, v)
		}
	}
	r.config.routes = append(r.config.routes, rt)
}

func (r *rig) option(rt *routing.Route, name, value string) {
	d := &rt.Deadlines
	switch name {
	case "first":
		d.FirstToken = r.duration(value)
	case "answer":
		d.Answer = r.duration(value)
	case "between":
		d.BetweenTokens = r.duration(value)
	case "total":
		d.Total = r.duration(value)
	case "on":
		r.rule(&rt.Failover.On, value)
	case "budget":
		rt.Failover.Budget = r.int(value)
	case "attempts":
		rt.Failover.Attempts = r.int(value)
	case "rounds":
		rt.Failover.Rounds = failure.Rounds{N: r.int(value), Base: 200 * time.Millisecond, Max: 2 * time.Second}
	case "nohold":
		rt.Failover.FirstToken = false
	case "judge":
		rt.Failover.ErrorBodies = true
	case "usage":
		rt.Usage = map[string]routing.Usage{"exact": routing.UsageExact, "pass": routing.UsagePass, "estimate": routing.UsageEstimate}[value]
	case "lossy":
		rt.Lossy = map[string]routing.Lossy{"warn": routing.LossyWarn, "refuse": routing.LossyRefuse, "silent": routing.LossySilent}[value]
	case "show":
		rt.Show = true
	case "count":
		rt.Forward = value == "forward"
	case "once":
		rt.Once = true
	case "client-route":
		rt.Client.Route = true
	case "client-timeout":
		rt.Client.Timeout = true
	case "client-priority":
		rt.Client.Priority = true
	case "priority":
		var ok bool
		if rt.Class, ok = queue.ParseClass(value); !ok {
			r.fatalf("unknown priority %q", value)
		}
	default:
		r.fatalf("unknown option %q of a route", name)
	}
}

// rule sets CLASS:ACTION.
func (r *rig) rule(on *failure.Rules, s string) {
	class, action, _ := strings.Cut(s, ":")
	c, ok := map[string]failure.Class{
		"connect": failure.Connect, "reset": failure.Reset, "timeout": failure.Timeout, "rate_limited": failure.RateLimited, "overloaded": failure.Overloaded,
		"upstream": failure.Upstream, "context_too_long": failure.ContextTooLong, "content_filtered": failure.ContentFiltered, "refusal": failure.Refusal, "invalid_output": failure.InvalidOutput,
	}[class]
	does, known := map[string]failure.Action{"next": failure.Next, "stop": failure.Stop, "bigger": failure.Bigger, "other_vendor": failure.Other, "repair": failure.Repair, "same": failure.Same}[action]
	if !ok || !known {
		r.fatalf("no rule: %q", s)
	}
	on[c] = does
}

func (r *rig) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		r.fatalf("%v", err)
	}
	return d
}

func (r *rig) int(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		r.fatalf("%v", err)
	}
	return n
}

// journal writes down what the Observer is told.
type journal struct{ r *rig }

func (j journal) Refused(e exchange.Refusal) {
	if e.Again != nil {
		j.r.sayf("seen replayed %s %s of %s%s", e.Ticket.Dialect, e.Ticket.Op, e.Again.Exchange, span(" took ", e.Took))
		return
	}
	j.r.sayf("seen refused %s %s %s%s", e.Ticket.Dialect, e.Ticket.Op, e.Code, span(" took ", e.Took))
}

func (j journal) Planned(e exchange.Planned) {
	least := ""
	if e.Least {
		least = " least_bad"
	}
	j.r.sayf("seen planned %s %s %s%s%s", e.Route, e.Dialect, e.Path, span(" took ", e.Took), least)
}

func (j journal) Lost(from, to dialect.Name, n int) {
	j.r.sayf("seen lost %d from %s to %s", n, from, to)
}

func (j journal) Attempt(e exchange.AttemptSeen) {
	if e.Unmade != "" {
		j.r.sayf("seen no attempt %s: %s", e.Provider, e.Unmade)
		return
	}
	how := ""
	if e.Ticket != nil {
		switch l := e.Ticket.Steps[e.N-1]; {
		case l.Same:
			how = " same"
		case l.Spare:
			how = " repair"
		}
	}
	j.r.sayf("seen attempt %s%s %s %s%s%s", e.Provider, how, e.Path, e.Code, span(" took ", e.Took), span(" first ", e.First))
}

func (j journal) Closed(e exchange.Closed) {
	s := fmt.Sprintf("seen closed %s %s %s %s %d", e.Ticket.Route, e.Last.Provider, e.Ticket.Dialect, e.Ending, e.Status)
	went := ""
	if e.Rounds > 0 {
		went = " rounds=" + itoa(e.Rounds)
	}
	if e.Mended != "" {
		went += " mended " + e.Mended
	}
	j.r.sayf("%s usage %s from %s%s%s", s, usage(e.Usage), e.Source, span(" took ", e.Took), went)
}

func span(what string, d time.Duration) string {
	if d == 0 {
		return ""
	}
	return what + d.String()
}

// usage writes the counts that are known.
func usage(u llm.Usage) string {
	var parts []string
	for _, c := range []struct {
		name string
		n    llm.Count
	}{{"input", u.Input}, {"output", u.Output}, {"cached", u.Cached}, {"reasoning", u.Reasoning}} {
		if c.n.Known {
			parts = append(parts, c.name+"="+itoa(int(c.n.N)))
		}
	}
	if parts == nil {
		return "unknown"
	}
	return strings.Join(parts, ",")
}
