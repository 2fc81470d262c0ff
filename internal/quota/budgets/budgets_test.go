package budgets

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// acme has limits at every level.
func acme() []Owned {
	of := func(level string, p Party, s Settings) Owned { return Owned{Level: level, Party: p, Settings: s} }
	return []Owned{
		of("organization", Party{Organization: "acme"}, Settings{Budget: Spending{Month: "500 USD", Manner: Manner{Zone: "Europe/Berlin", AlertAt: []string{"100%", "80%", "80%"}}}}),
		of("team", Party{Organization: "acme", Team: "core"}, Settings{Limits: Limits{Parallel: 20, Rules: []Rule{
			{Unit: "requests", Amount: 10, Window: "second", Style: "pace", Burst: 3, Each: []string{"key"}},
			{Unit: "money", Spend: "5 USD", Window: "day", Models: []string{"gpt-*"}, Manner: Manner{Shadow: true}},
			{Unit: "tokens", Amount: 1000, Window: "10s", Style: "fixed", Each: []string{"end_user", "model"}},
			{Unit: "requests", Amount: 7, Window: "day", Providers: []string{"openai", "azure"}, Each: []string{"provider"}},
		}}}),
		of("project", Party{Organization: "acme", Team: "core", Project: "search"}, Settings{Budget: Spending{Total: "0.5 USD", Manner: Manner{Soft: true}}}),
		of("key", Party{Organization: "acme", Team: "core", Project: "search", Key: "ci"}, Settings{Limits: Limits{
			Requests: Requests{RequestsPerMinute: 600}, Tokens: Tokens{TokensPerDay: 200_000},
			Rules: []Rule{{Unit: "requests", Amount: 5, Window: "minute", Routes: []string{"batch-*"}, Manner: Manner{Away: "allow"}}},
		}}),
		of("key", Party{Organization: "acme", Key: "other"}, Settings{Limits: Limits{Requests: Requests{RequestsPerMinute: 600}}}),
	}
}

func table(t *testing.T, owners []Owned) *Table {
	t.Helper()
	out, err := New(owners)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// describe writes budgets without their ids.
func describe(all []*quota.Budget) string {
	var out []string
	for _, b := range all {
		s := fmt.Sprintf("%s %s %d %s", b.Owner, b.Unit, b.Limit, b.Window.Kind)
		for _, more := range []string{b.Model, b.Target} {
			if more != "" {
				s += " " + more
			}
		}
		if b.Soft || b.Shadow || b.Away != 0 || len(b.Alert) > 0 {
			s += fmt.Sprintf(" soft=%v shadow=%v away=%d alert=%v", b.Soft, b.Shadow, b.Away, b.Alert)
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

func TestWhichBudgetsHold(t *testing.T) {
	tb := table(t, acme())
	organization := `organization "acme" money 500000000000 month soft=false shadow=false away=0 alert=[800 1000]`
	for _, tt := range []struct {
		name         string
		party        Party
		model, route string
		at           []string
		want         []string
	}{
		{"nobody that is known", Party{Organization: "other", Key: "ci"}, "gpt-5", "r", []string{"openai"}, nil},
		{"an organization alone", Party{Organization: "acme"}, "gpt-5", "r", []string{"openai"}, []string{organization}},
		{
			"from the organization down to the key", Party{Organization: "acme", Team: "core", Project: "search", Key: "ci", EndUser: "u1"}, "gpt-5", "batch-1", []string{"openai", "groq", "azure", "openai"},
			[]string{
				organization,
				`team "core" parallel 20 gauge`,
				`key "ci" requests 10 pace`,
				`team "core" money 5000000000 day gpt-* soft=false shadow=true away=0 alert=[]`,
				`this end user tokens 1000 fixed gpt-5`,
				`team "core" requests 7 day provider:openai`,
				`team "core" requests 7 day provider:azure`,
				`project "search" money 500000000 life soft=true shadow=false away=0 alert=[]`,
				`key "ci" requests 600 sliding`,
				`key "ci" tokens 200000 day`,
				`key "ci" requests 5 sliding route:batch-* soft=false shadow=false away=3 alert=[]`,
			},
		},
		{
			"another model, route and provider, and no end user", Party{Organization: "acme", Team: "core", Key: "x"}, "claude", "r", []string{"groq"},
			[]string{organization, `team "core" parallel 20 gauge`, `key "x" requests 10 pace`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tb.Find(nil, &tt.party, tt.model, tt.route, tt.at)
			if d := cmp.Diff(strings.Join(tt.want, "\n"), describe(got)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			ids := map[string]bool{}
			for _, b := range got {
				if ids[b.ID] {
					t.Errorf("the id %s is there twice", b.ID)
				}
				ids[b.ID] = true
				if err := b.Check(); err != nil {
					t.Error(err)
				}
				if tb.Budget(b.ID) != b {
					t.Errorf("%s is not found again", b.ID)
				}
			}
			if again := tb.Find(nil, &tt.party, tt.model, tt.route, tt.at); !slices.Equal(again, got) {
				t.Error("the same exchange has other budgets")
			}
		})
	}
	if tb.Budget("nothing") != nil || (*Table)(nil).Budget("x") != nil || !(*Table)(nil).Empty() || tb.Empty() {
		t.Error("an unknown id, or a table without budgets")
	}
	if !tb.Strict() || table(t, acme()[4:]).Strict() {
		t.Error("limits of money must hold whatever happens, those of requests need not")
	}
	if got := tb.Organizations(); !slices.Equal(got, []string{"acme"}) {
		t.Errorf("got %v", got)
	}
}

// The ids name counters in Redis, which outlive a version: these must not change.
func TestIDsStay(t *testing.T) {
	p := Party{Organization: "acme", Team: "core", Project: "search", Key: "ci", EndUser: "u1"}
	var ids []string
	for _, b := range table(t, acme()).Find(nil, &p, "gpt-5", "batch-1", []string{"openai"}) {
		ids = append(ids, b.ID)
	}
	want := `organization_money_month_dwlcyqf2yhil47xkb66nuf4y
team_parallel_gauge_zhraplgztqyimlekqssw7dhm
team_requests_pace_ocmsjmimehclizrpx6n6pppe
team_money_day_scnlie4da7olzn7rx5xkgnjs
team_tokens_fixed_ntj6vbasxgmraqmwwfxwnufb
team_requests_day_w4taydq2r2dqz6s7ugw7e623
project_money_life_o4mi25mg2u6rnxboz3ajght2
key_requests_sliding_jwcsvyvmz76uz3ldfknmo6u7
key_tokens_day_zxz7t564oi2ij7nba6d3ncmr
key_requests_sliding_cewtjtvfsnwnng4ubag7nnqc`
	if d := cmp.Diff(want, strings.Join(ids, "\n")); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestWhatMakesAnotherCounter(t *testing.T) {
	of := func(change func(o *Owned)) string {
		o := Owned{Level: "key", Party: Party{Organization: "acme", Key: "ci"}, Settings: Settings{Limits: Limits{Rules: []Rule{{Unit: "money", Spend: "5 USD", Window: "day"}}}}}
		change(&o)
		party := o.Party
		return table(t, []Owned{o}).Find(nil, &party, "m", "r", []string{"p"})[0].ID
	}
	same := of(func(*Owned) {})
	for name, tt := range map[string]struct {
		change func(o *Owned)
		same   bool
	}{
		"a raised limit": {func(o *Owned) { o.Limits.Rules[0].Spend = "6 USD" }, true},
		"shadow":         {func(o *Owned) { o.Limits.Rules[0].Shadow = true }, true},
		"alerts":         {func(o *Owned) { o.Limits.Rules[0].AlertAt = []string{"50%"} }, true},
		"another place in the list": {func(o *Owned) {
			o.Limits.Rules = append([]Rule{{Unit: "tokens", Amount: 1, Window: "day", Models: []string{"z"}}}, o.Limits.Rules...)
		}, true},
		"another organization":     {func(o *Owned) { o.Organization = "b" }, false},
		"another key":              {func(o *Owned) { o.Key = "c" }, false},
		"another zone":             {func(o *Owned) { o.Limits.Rules[0].Zone = "Europe/Berlin" }, false},
		"another window":           {func(o *Owned) { o.Limits.Rules[0].Window = "week" }, false},
		"some models":              {func(o *Owned) { o.Limits.Rules[0].Models = []string{"m"} }, false},
		"for each model":           {func(o *Owned) { o.Limits.Rules[0].Each = []string{"model"} }, false},
		"a name that looks joined": {func(o *Owned) { o.Organization, o.Key = "acm", "eci" }, false},
	} {
		if got := of(tt.change) == same; got != tt.same {
			t.Errorf("%s: the same counter: %v, want %v", name, got, tt.same)
		}
	}
}

func TestAnIDTellsItsUnit(t *testing.T) {
	for _, level := range []string{"organization", "team", "project", "key"} {
		for u := quota.Requests; u <= quota.Parallel; u++ {
			b := &quota.Budget{Owner: quota.Owner{Level: level}, Unit: u, Window: window.Window{Kind: window.Month}}
			if got := UnitOf(string(appendID(nil, b, &sum{}))); got != u {
				t.Errorf("%s of a %s: got %s", u, level, got)
			}
		}
	}
	if got := UnitOf("no_id"); got != 0 {
		t.Errorf("got %s", got)
	}
}

func TestMoneyIsExact(t *testing.T) {
	for in, want := range map[string]int64{
		"20 USD": 20_000_000_000, "0.5 USD": 500_000_000, "0.000000001 USD": 1, "9007199.254740991 USD": quota.Max,
		"": 0, "20": 0, "20 EUR": 0, "USD": 0, " USD": 0, "-1 USD": 0, "+1 USD": 0, "1. USD": 0, ".5 USD": 0, "1e3 USD": 0, "0 USD": 0, "0.0000000001 USD": 0,
		"9007199.254740992 USD": 0, "99999999999999999999 USD": 0, "20  USD": 0, "20 USD ": 0, "nan USD": 0, "0x10 USD": 0, "１ USD": 0,
	} {
		got, err := ParseMoney(in)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %d, %v, want %d", in, got, err, want)
		}
	}
}

func TestShares(t *testing.T) {
	for in, want := range map[string]int{"80%": 800, "99.5%": 995, "0.1%": 1, "1000%": 10_000, "80": 0, "0%": 0, "1001%": 0, "8.55%": 0, "-1%": 0, "a%": 0, "%": 0} {
		if got, err := parsePercent(in); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %d, %v, want %d", in, got, err, want)
		}
	}
}

func TestSpans(t *testing.T) {
	for in, want := range map[string]span{
		"second": {length: time.Second}, "10s": {length: 10 * time.Second}, "744h": {length: longestLength}, "week": {kind: window.Week}, "total": {kind: window.Life},
		"": {}, "744h1ms": {}, "1us": {}, "1.5ms": {}, "-1s": {}, "+1s": {}, "10": {}, "year": {},
	} {
		if got, err := parseSpan(in); got != want || (err == nil) != (want != span{}) {
			t.Errorf("%q: got %+v, %v, want %+v", in, got, err, want)
		}
	}
}

func TestARuleForOneProviderSaysSoForEachRoute(t *testing.T) {
	p := Party{Organization: "a", Team: "t"}
	rules := []Rule{
		{Unit: "tokens", Amount: 1, Window: "day", Providers: []string{"openai"}, Each: []string{"route"}},
		{Unit: "tokens", Amount: 1, Window: "day", Routes: []string{"r*"}, Each: []string{"route"}},
	}
	tb := table(t, []Owned{{Level: "team", Party: p, Settings: Settings{Limits: Limits{Rules: rules}}}})
	got := tb.Find(nil, &p, "m", "r1", []string{"openai", "groq"})
	if d := cmp.Diff("team \"t\" tokens 1 day provider:openai\nteam \"t\" tokens 1 day route:r1", describe(got)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestFindAllocatesNothingOnceWarm(t *testing.T) {
	tb := table(t, acme())
	p := Party{Organization: "acme", Team: "core", Project: "search", Key: "ci", EndUser: "u1"}
	at := []string{"openai"}
	dst := tb.Find(nil, &p, "gpt-5", "batch-1", at)
	if n := testing.AllocsPerRun(100, func() { dst = tb.Find(dst[:0], &p, "gpt-5", "batch-1", at) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEndUsersAreForgottenBeforeTheyFillMemory(t *testing.T) {
	tb := table(t, []Owned{{Level: "team", Party: Party{Organization: "a", Team: "t"}, Settings: Settings{Limits: Limits{Rules: []Rule{{Unit: "requests", Amount: 1, Window: "day", Each: []string{"end_user"}}}}}}})
	first := ""
	for i := range remembered + 10 {
		p := Party{Organization: "a", Team: "t", EndUser: fmt.Sprint("u", i)}
		if b := tb.Find(nil, &p, "m", "r", nil); i == 0 {
			first = b[0].ID
		}
	}
	if n := len(tb.each); n > remembered || n != len(tb.ids) {
		t.Errorf("%d and %d are remembered", n, len(tb.ids))
	}
	if again := tb.Find(nil, &Party{Organization: "a", Team: "t", EndUser: "u0"}, "m", "r", nil); again[0].ID != first {
		t.Error("an end user that was forgotten has another counter")
	}
}

func BenchmarkFind(b *testing.B) {
	tb, err := New(acme())
	if err != nil {
		b.Fatal(err)
	}
	p := Party{Organization: "acme", Team: "core", Project: "search", Key: "ci", EndUser: "u1"}
	at := []string{"openai"}
	var dst []*quota.Budget
	b.ReportAllocs()
	for b.Loop() {
		dst = tb.Find(dst[:0], &p, "gpt-5", "batch-1", at)
	}
}
