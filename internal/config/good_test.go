package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/override"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// TestGood compares what every file in testdata/good means with the golden text beside it.
func TestGood(t *testing.T) {
	good(t, func(t *testing.T, f string, c *config.Config) {
		golden(t, strings.TrimSuffix(f, ".yaml")+".txt", describe(c))
	})
}

// good does something with every file in testdata/good.
func good(t *testing.T, do func(t *testing.T, file string, c *config.Config)) {
	t.Helper()
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".yaml"), func(t *testing.T) {
			c, err := config.Load(f, kinds())
			if err != nil {
				t.Fatal(err)
			}
			do(t, f, c)
		})
	}
}

// describe writes a configuration out, with everything that is inherited.
func describe(c *config.Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen %+v\nlimits %+v\nenvoy %+v\nlog %+v\ndrain %v\naliases %v\nfiles %v\n", c.Listen, c.Limits, c.Envoy, c.Log, c.Drain, c.Aliases, c.Files())
	if c.Tags.Any() {
		fmt.Fprintf(&b, "tags %+v\ntelemetry %+v\n", c.Tags, c.Telemetry)
	}
	if c.Evals.Content {
		fmt.Fprintf(&b, "evals %+v, for %v\n", c.Evals, c.Evals.Keep())
	}
	if c.Alerts.On() {
		fmt.Fprintf(&b, "alerts every=%v anomalies_from=%s expiry_days=%d\n", c.Alerts.Every, c.Alerts.Anomalies, c.Alerts.Expiry)
		for _, s := range c.Alerts.Channels {
			fmt.Fprintf(&b, "  channel %s %s %+v\n", s.Name, s.Kind(), s)
		}
		for _, r := range c.Alerts.Rules {
			fmt.Fprintf(&b, "  rule %+v\n", r)
		}
	}
	for _, o := range c.Objectives() {
		fmt.Fprintf(&b, "objective %s %s within=%v allow=%.6g window=%v routes=%v tags=%v kept=%q\n", o.Name, o.Kind, o.Within, o.Allow, o.Window, o.Scope.Routes, o.Scope.Tags, c.SLOFile())
	}
	if line := c.Line(); line.Longest() > 0 {
		fmt.Fprintf(&b, "queue %+v\n", line)
	}
	keys, err := c.StaticKeys()
	if err != nil {
		fmt.Fprintln(&b, err)
	}
	for _, k := range keys {
		fmt.Fprintf(&b, "key %s %x of %s\n", k.Name, k.Hash, strings.Join([]string{k.Organization, k.Team, k.Project}, "/"))
		fmt.Fprintf(&b, "  role=%s scope=%+v expires=%s\n", k.Role, k.Scope, k.Expires.Format(time.RFC3339))
		if k.Tags != nil {
			fmt.Fprintf(&b, "  tags=%v\n", k.Tags)
		}
	}
	for i := range c.Providers {
		p := &c.Providers[i]
		fmt.Fprintf(&b, "provider %s %s base=%v refs=%v region=%q ca=%q connect=%v params=%+v\n", p.Name, p.Kind, p.Base, p.Refs(), p.Region, p.CA, p.ConnectTimeout, p.Params)
		for _, declared := range p.Models {
			m, _ := p.Deployment().Find(declared.Name)
			fmt.Fprintf(&b, "  model %s named %s, %d/%d, can %s, %+v\n", m.ID, m.Name, m.Context, m.MaxOutput, m.Can, m.Dates)
			describeCard(&b, m.Card)
		}
	}
	for _, r := range c.Table().Routes() {
		fmt.Fprintf(&b, "route %s %q policies=%v usage=%v lossy=%v show=%v forward=%v\n  first_token=%v between_tokens=%v total=%v\n  %s\n  %+v\n", r.Name, r.Models, names(r.Policies), r.Usage, r.Lossy, r.Show, r.Forward, r.Deadlines.FirstToken, r.Deadlines.BetweenTokens, r.Deadlines.Total, failover(&r.Failover), struct{ Route, Timeout bool }{r.Client.Route, r.Client.Timeout})
		if r.Class != queue.Normal || r.Client.Priority {
			fmt.Fprintf(&b, "  priority=%v lowered=%t\n", r.Class, r.Client.Priority)
		}
		for _, t := range r.Targets {
			fmt.Fprintf(&b, "  target %s weight=%d like=%q", t, t.Weight, t.Like)
			if t.Priority > 0 {
				fmt.Fprintf(&b, " priority=%d", t.Priority)
			}
			b.WriteByte('\n')
		}
		if r.Trial == nil {
			continue
		}
		fmt.Fprintf(&b, "  experiment %s by %s\n", r.Trial.Name, r.Trial.By)
		if s := r.Trial.Shadow; s != nil {
			for _, o := range c.Owned() {
				for _, l := range o.Limits.Rules {
					fmt.Fprintf(&b, "    shadows of %g; %s of %v: %s %s\n", s.Share, o.Organization, l.Routes, l.Spend, l.Window)
				}
			}
		}
		for i, a := range r.Trial.Routes {
			if ramp := r.Trial.Ramp; ramp != nil && i == 1 {
				fmt.Fprintf(&b, "    ramp %+v\n", *ramp)
			}
			fmt.Fprintf(&b, "    arm %s weight=%d policies=%v targets=%v\n", r.Trial.Labels[i], r.Trial.Arms[i].Weight, names(a.Policies), a.Targets)
			describeChange(&b, r.Trial.Template, a.Change)
		}
	}
	describeTemplates(&b, c)
	return b.String()
}

// describeChange writes what an arm changes of requests.
func describeChange(b *strings.Builder, name string, c *override.Change) {
	if c != nil && c.Version != "" {
		fmt.Fprintf(b, "      template %s@%s\n", name, c.Version)
	}
	if c != nil && c.Parameters != nil {
		p := *c.Parameters
		fmt.Fprintf(b, "      temperature=%v top_p=%v max_tokens=%d stop=%q tool_choice=%q reasoning_effort=%q response_format=%q %s\n",
			*p.Temperature, *p.TopP, p.MaxTokens, p.Stop, p.ToolChoice, p.Effort, p.Format.Type, p.Format.Schema)
	}
}

// describeTemplates writes the templates of the folder.
func describeTemplates(b *strings.Builder, c *config.Config) {
	for _, v := range c.Prompts().Versions() {
		f := v.File
		f.Tools, f.Variables, f.Parameters = nil, nil, template.Parameters{}
		fmt.Fprintf(b, "template %s %+v\n", v, f)
		for i := range v.Variables {
			fmt.Fprintf(b, "  %s: %s\n", v.Variables[i].Name, v.Variables[i].Is())
		}
		for _, t := range v.Tools {
			fmt.Fprintf(b, "  tool %s %q %s\n", t.Name, t.Description, t.Parameters)
		}
		p := v.Parameters
		fmt.Fprintf(b, "  temperature=%v top_p=%v max_tokens=%d stop=%q choice=%s format=%+v\n", *p.Temperature, *p.TopP, p.MaxTokens, p.Stop, p.ToolChoice, p.Format)
	}
	for _, n := range c.Prompts().Names() {
		_, of := c.Prompts().Labels(n)
		fmt.Fprintf(b, "labels of %s: %v\n", n, of)
	}
}

// describeCard writes a card, dollars for a million units.
func describeCard(b *strings.Builder, c *price.Card) {
	if c == nil {
		b.WriteString("    no price\n")
		return
	}
	list := func(head string, r price.Rates) {
		fmt.Fprintf(b, "    %s", head)
		for i, v := range r.All() {
			fmt.Fprintf(b, " %s=%s", i, v.Million())
		}
		for _, m := range r.Images() {
			fmt.Fprintf(b, " image(%q %q)=%s", m.Size, m.Quality, m.Rate)
		}
		b.WriteString("\n")
	}
	list("price", c.Rates)
	for _, x := range c.Changes {
		list("from "+x.From.Format(time.RFC3339), x.Rates)
	}
	for _, x := range c.Tiers {
		list(fmt.Sprintf("above %d up to %d", x.Above, x.UpTo), x.Rates)
	}
	for _, x := range c.Services {
		list("at "+x.Name, x.Rates)
	}
	for _, x := range c.Hours {
		list(fmt.Sprintf("minutes %d to %d", x.From, x.Until), x.Rates)
	}
	for _, x := range c.Factors {
		fmt.Fprintf(b, "    times %d/1000 for %s, region %t\n", x.Milli, x.Name, x.Region)
	}
}

func TestAProvidersBillingBecomesItsContract(t *testing.T) {
	c, err := config.Load("testdata/good/models.yaml", kinds())
	if err != nil {
		t.Fatal(err)
	}
	got := c.Providers[0].Contract()
	if in, _ := got.Ceiling.Get(price.Input); in.Million() != "10" || got.Unknown != billing.Record {
		t.Errorf("ceiling %s, unknown %d", in.Million(), got.Unknown)
	}
	if got.Rules != (billing.Rules{Aborted: billing.StopsBilling, Early: billing.Nothing, Refused: billing.PromptOnly}) {
		t.Errorf("rules %+v", got.Rules)
	}
	for _, x := range []struct {
		model, at string
		want      int64
	}{{"in-house", "2026-10-01", 850}, {"in-house", "2027-01-01", 900}, {"gpt-oss-20b", "2026-10-01", 900}} {
		at, _ := time.Parse(time.DateOnly, x.at)
		if terms := got.Terms(x.model, at); terms.Paid != x.want {
			t.Errorf("%s on %s pays %d thousandths, want %d", x.model, x.at, terms.Paid, x.want)
		}
	}
	if plain := c.Providers[1].Contract(); plain.Unknown != billing.Deny || plain.Rules != (billing.Rules{}) || plain.Terms("m", time.Now()).Paid != 0 {
		t.Errorf("a provider without billing has %+v", plain)
	}
}

func TestDefaultHasTheProvidersWhoseKeysAreSetAndTheMock(t *testing.T) {
	env := map[string]string{"ANTHROPIC_API_KEY": "hunter2", "OPENAI_API_KEY": ""}
	c := config.Default(kinds(), func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	var got []string
	for _, p := range c.Providers {
		got = append(got, fmt.Sprint(p.Name, " ", p.Kind, " ", p.Key, " ", p.Base))
	}
	want := []string{"anthropic anthropic env:ANTHROPIC_API_KEY https://api.anthropic.com", "mock mock  <nil>"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("providers (-got +want):\n%s", diff)
	}
	for model, want := range map[string]string{"claude-x": "anthropic", "anthropic/y": "anthropic", "mock/echo": "mock", "gpt-5.1": ""} {
		got := ""
		if r := c.Table().Match(model); r != nil {
			got = r.Name
		}
		if got != want {
			t.Errorf("%s goes to %q, want %q", model, got, want)
		}
	}
	if !c.Listen.HTTP.Loopback() || !c.Listen.Admin.Loopback() || !c.Listen.Service.Loopback() {
		t.Errorf("the default listens beyond loopback: %+v", c.Listen)
	}
}

func TestAProvidersOwnNameIsNotTakenByTheModelsOfAKind(t *testing.T) {
	c, err := config.Parse("f.yaml", []byte("providers:\n  - { name: a, kind: anthropic, key: env:K }\n  - { name: claude-proxy, kind: openai-compatible, base_url: http://127.0.0.1:1 }\n"), kinds())
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]string{"claude-proxy/llama": "claude-proxy", "claude-x": "a"} {
		if got := c.Table().Match(model); got == nil || got.Name != want {
			t.Errorf("%s goes to %+v, want %s", model, got, want)
		}
	}
}

func TestAddress(t *testing.T) {
	for _, c := range []struct {
		in, network, address string
		loopback             bool
	}{
		{"127.0.0.1:8080", "tcp", "127.0.0.1:8080", true},
		{"127.9.9.9:1", "tcp", "127.9.9.9:1", true},
		{"localhost:0", "tcp", "127.0.0.1:0", true},
		{"[::1]:80", "tcp", "[::1]:80", true},
		{"[::]:80", "tcp", "[::]:80", false},
		{"[::ffff:127.0.0.1]:80", "tcp", "[::ffff:127.0.0.1]:80", true},
		{"0.0.0.0:80", "tcp", "0.0.0.0:80", false},
		{"10.0.0.1:80", "tcp", "10.0.0.1:80", false},
		{"unix:run/x.sock", "unix", "run/x.sock", true},
	} {
		network, address := config.Address(c.in).Split()
		if network != c.network || address != c.address || config.Address(c.in).Loopback() != c.loopback {
			t.Errorf("%s: got %s %s loopback %v", c.in, network, address, config.Address(c.in).Loopback())
		}
	}
}

func TestFaultShowsAPathThatOnlyItsUserCanJudge(t *testing.T) {
	c, err := config.Load("testdata/good/full.yaml", kinds())
	if err != nil {
		t.Fatal(err)
	}
	got := c.Fault("providers[0].keys[1]", "env:OPENAI_KEY_2: the variable is not set").Report() + "\n" +
		c.Fault("providers[3].key", "exec:pass: exit status 1").Report() + "\n" +
		c.Fault("providers[0].base_url", "no such host").Report() + "\n"
	golden(t, "testdata/fault.txt", got)
	d := config.Default(kinds(), func(string) (string, bool) { return "", false })
	if e := d.Fault("providers[0].key", "not set"); e.Line != 1 || e.Column != 1 || !strings.Contains(e.Report(), "not set") {
		t.Errorf("got %q", e.Report())
	}
}

func TestSizeAndDurationAreWrittenAsTheyAreRead(t *testing.T) {
	for want, s := range map[string]config.Size{"20MiB": 20 << 20, "1GiB": 1 << 30, "60KiB": 60 << 10, "1000B": 1000} {
		if s.String() != want {
			t.Errorf("got %s, want %s", s, want)
		}
	}
	for want, d := range map[string]time.Duration{"30m": 30 * time.Minute, "1h": time.Hour, "1m30s": 90 * time.Second, "2s": 2 * time.Second, "500ms": 500 * time.Millisecond} {
		if got := config.Duration(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestLoadSaysWhichFileIsMissing(t *testing.T) {
	_, err := config.Load("testdata/none.yaml", kinds())
	if err == nil || !strings.Contains(err.Error(), "testdata/none.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestRefsOfAProvider(t *testing.T) {
	one := config.Provider{Key: "env:A"}
	two := config.Provider{Keys: []secret.Ref{"env:A", "env:B"}}
	if len(one.Refs()) != 1 || len(two.Refs()) != 2 || len((&config.Provider{}).Refs()) != 0 {
		t.Errorf("got %v %v", one.Refs(), two.Refs())
	}
}

// TestAnInheritedDeadlineGivesWay is the law that no route waits longer for a part than for the whole.
func TestAnInheritedDeadlineGivesWay(t *testing.T) {
	c, err := config.Load("testdata/good/full.yaml", kinds())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]routing.Deadlines{
		"main":   {FirstToken: 5 * time.Second, BetweenTokens: 45 * time.Second, Total: 45 * time.Second},
		"canary": {FirstToken: 45 * time.Second, BetweenTokens: 45 * time.Second, Total: 45 * time.Second},
	}
	for name, d := range want {
		got := c.Table().Route(name).Deadlines
		if got.FirstToken != d.FirstToken || got.BetweenTokens != d.BetweenTokens || got.Total != d.Total {
			t.Errorf("%s: got %+v, want %+v", name, got, d)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, glob := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("f.yaml", data, kinds())
		if err == nil {
			if c.Table() == nil || len(c.Providers) == 0 {
				t.Fatalf("a valid configuration without table or providers: %q", data)
			}
			return
		}
		errs, ok := err.(config.Errors)
		if !ok || len(errs) == 0 || len(errs) > 20 {
			t.Fatalf("got %T %v", err, err)
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, e := range errs {
			if e.Line < 1 || e.File == "f.yaml" && e.Line > lines || e.Column < 1 || e.Message == "" || !strings.Contains(e.Excerpt, "^") {
				t.Fatalf("an error without a place: %+v", e)
			}
		}
	})
}

func TestSecretsWithinParamsAreRefs(t *testing.T) {
	type inner struct {
		Token secret.Ref   `yaml:"token"`
		More  []secret.Ref `yaml:"more"`
	}
	type params struct {
		Inner  inner  `yaml:"inner"`
		Plain  string `yaml:"plain"`
		Absent *inner `yaml:"-"`
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := providers.NewRegistry(providers.Kind{
		Name: "cloud", BaseURL: "https://cloud.example", Params: func() any { return &params{} },
		New: func(providers.Env, any) (providers.Adapter, error) { return &providers.Fixed{}, nil },
	})
	parse := func(p string) (*config.Config, error) {
		return config.Parse("f.yaml", []byte("providers: [ { name: p, kind: cloud, params: "+p+" } ]\n"), kinds)
	}
	c, err := parse(`{ plain: "env:X", inner: { token: "file:` + file + `", more: [ "env:A", "env:B" ] } }`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Providers[0].ParamRefs(), []secret.Ref{secret.Ref("file:" + file), "env:A", "env:B"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if !slices.Contains(c.Files(), file) {
		t.Errorf("the file is not watched: %v", c.Files())
	}
	if _, err := parse(`{ inner: { token: "swordfish-is-the-token" } }`); err == nil || !strings.Contains(err.Error(), "not the key itself") || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("a literal gives %v", err)
	}
	if refs := (&config.Provider{}).ParamRefs(); refs != nil {
		t.Errorf("no params have %v", refs)
	}
}

// What docs/quotas.md shows can be used as it stands there.
func TestTheExamplesOfQuotasAreValid(t *testing.T) {
	text, err := os.ReadFile("../../docs/quotas.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) != 2 {
		t.Fatalf("%d examples", len(blocks))
	}
	var configs []*config.Config
	for _, b := range blocks {
		b, _, _ = strings.Cut(b, "```")
		c, err := config.Parse("quotas.yaml", []byte(b), kinds())
		if err != nil {
			t.Fatal(err)
		}
		configs = append(configs, c)
	}
	if !configs[1].Quota.Remote() {
		t.Error("the second example counts in this process")
	}
	table, err := configs[0].Budgets()
	if err != nil {
		t.Fatal(err)
	}
	got := table.Find(nil, &budgets.Party{Organization: "acme", Team: "core", Key: "ci", EndUser: "u"}, "gpt-5.1", "r", []string{"openai"})
	if len(got) != 8 {
		t.Errorf("got %d budgets", len(got))
	}
}

// names are those of policies.
func names(ps []routing.Named) (out []string) {
	for _, p := range ps {
		out = append(out, p.Name)
	}
	return out
}

// usual are the rules of a route that has none of its own.
var usual = func() (r failure.Rules) {
	for c := range r {
		r[c] = r.On(failure.Class(c))
	}
	return r
}()

// failover writes what is not usual last.
func failover(f *routing.Failover) string {
	s := fmt.Sprintf("{FirstToken:%v ErrorBodies:%v Attempts:%d}", f.FirstToken, f.ErrorBodies, f.Attempts)
	if f.On != usual {
		s += fmt.Sprintf(" on=%d", f.On)
	}
	if f.Budget != 20 {
		s += fmt.Sprintf(" budget=%d", f.Budget)
	}
	if f.Rounds.N != 1 {
		s += fmt.Sprintf(" rounds=%d after %v to %v", f.Rounds.N, f.Rounds.Base, f.Rounds.Max)
	}
	return s
}
