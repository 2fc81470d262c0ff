package expr_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/expr"
	"github.com/signalbox-ai/signalbox/routing/match"
)

type asked struct{}

func (asked) Header(name string) string {
	if name == "x-tier" {
		return "gold"
	}
	return ""
}
func (asked) Needs() ability.Set          { return ability.Tools }
func (asked) Tokens(_, _, _ string) int64 { return 1200 }
func (asked) Session(string) string       { return "" }

func request() *match.Request {
	return &match.Request{
		At: time.Date(2026, 11, 27, 22, 30, 0, 0, time.UTC), Asked: "smart", Model: "gpt-5.1", Op: llm.OpChat, Dialect: "openai-chat", Stream: true, Bytes: 5000, Output: 100,
		Owner: match.Owner{Organization: "acme", Team: "core", Project: "web", Key: "k1", EndUser: "ann"}, Tags: map[string]string{"feature": "chat"}, More: asked{},
	}
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		text   string
		want   bool
		failed uint64
	}{
		{`request.model == "gpt-5.1" && request.asked == 'smart'`, true, 0},
		{`request.model.startsWith("gpt-") && request.operation == "chat" && request.dialect == "openai-chat"`, true, 0},
		{`request.stream && request.tools && !request.images`, true, 0},
		{`request.tokens > 1000 && request.bytes <= 5000 && request.max_tokens == 100`, true, 0},
		{`request.team in ["core", "ops"] && request.key == "k1" && request.project == "web" && request.organization == "acme" && request.end_user == "ann"`, true, 0},
		{`request.tags.feature == "chat" && request.tags["feature"] == "chat" && "feature" in request.tags && has(request.tags.feature)`, true, 0},
		{`request.tags.cohort == "" && !("cohort" in request.tags) && !has(request.tags.cohort)`, true, 0},
		{`request.headers["X-Tier"] == "gold" && "x-tier" in request.headers && request.headers["x-none"] == ""`, true, 0},
		{`"tools" in request.needs && !("vision" in request.needs)`, true, 0},
		{`request.time.getHours("Europe/Berlin") == 23 && request.time.getDayOfWeek() == 5`, true, 0},
		{`request.model.matches("^gpt-[0-9.]+$")`, true, 0},
		{`request.bytes > 4999.5`, true, 0},
		{`request.team == "ops"`, false, 0},
		{`request.bytes / (request.max_tokens - 100) > 1`, false, 1},
		{`request.stream || request.bytes / (request.max_tokens - 100) > 1`, true, 0},
		{`request.time.getHours("Mars/Olympus") == 23`, false, 1},
	} {
		t.Run(c.text, func(t *testing.T) {
			p, err := expr.Condition(c.text, expr.OfRequests)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Holds(request()); got != c.want || p.Failed() != c.failed {
				t.Errorf("got %v, %d failed; want %v, %d", got, p.Failed(), c.want, c.failed)
			}
			if p.String() != c.text {
				t.Errorf("it calls itself %s", p)
			}
		})
	}
}

func TestOfARequestOfWhichNothingIsKnown(t *testing.T) {
	p, err := expr.Condition(`request.headers["a"] == "" && request.tags.b == "" && request.needs == [] && request.tokens == 0`, expr.OfRequests)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Holds(&match.Request{}) {
		t.Error("it does not hold")
	}
}

// target is a candidate of which everything is known, or nothing.
func target(known bool) (*routing.View, *routing.Candidate) {
	v := &routing.View{Request: *request()}
	k := &routing.Candidate{Target: routing.Target{Provider: "openai", Model: "gpt", Weight: 3, Priority: 2}, About: &routing.About{}, Signals: (*health.Target)(nil).Signals(time.Time{}), N: 4}
	if known {
		k.About = &routing.About{
			Kind: "azure", Region: "eu", Traits: []string{"soc2"}, Facts: catalog.Facts{Known: true, Can: ability.Vision, Context: 128000, MaxOutput: 4096},
			Card: &price.Card{Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: 1e9, price.Output: 2e9})},
		}
		k.Signals.First = health.Quantiles{P50: 200 * time.Millisecond, P95: 900 * time.Millisecond}
		k.Signals.Total = health.Quantiles{P50: 2 * time.Second, P95: 9 * time.Second}
		k.Signals.Success, k.Signals.Weight, k.Signals.InFlight = 0.75, 40, 7
	}
	return v, k
}

func TestConditionsOfTargets(t *testing.T) {
	for _, c := range []struct {
		text             string
		known, strange   bool
		failed, strangeF uint64
	}{
		{`target.provider == "openai" && target.model == "gpt" && target.weight == 3 && target.priority == 2 && target.number == 5`, true, true, 0, 0},
		{`target.kind == "azure" && target.region == "eu" && "soc2" in target.traits`, true, false, 0, 0},
		{`"vision" in target.abilities && target.context >= 128000 && target.max_output == 4096`, true, false, 0, 0},
		{`target.priced && target.cost < 0.01`, true, false, 0, 0},
		{`target.cost > 0.0013 && target.cost < 0.0015 && target.tokens == 1200`, true, false, 0, 1},
		{`target.measured && target.first_token < 0.3 && target.first_token_p95 < 1 && target.total == 2.0 && target.total_p95 > 8`, true, false, 0, 0},
		{`target.first_token < 0.3`, true, false, 0, 1},
		{`!target.measured || target.first_token < 0.1`, false, true, 0, 0},
		{`target.success == 0.75 && target.attempts == 40.0 && target.in_flight == 7 && target.healthy`, true, false, 0, 0},
		{`request.stream && target.provider != request.model`, true, true, 0, 0},
	} {
		t.Run(c.text, func(t *testing.T) {
			for _, known := range []bool{true, false} {
				p, err := expr.Condition(c.text, expr.OfTargets)
				if err != nil {
					t.Fatal(err)
				}
				want, failed := c.known, c.failed
				if !known {
					want, failed = c.strange, c.strangeF
				}
				if got := p.HoldsFor(target(known)); got != want || p.Failed() != failed {
					t.Errorf("known %v: got %v, %d failed; want %v, %d", known, got, p.Failed(), want, failed)
				}
			}
		})
	}
}

func TestScores(t *testing.T) {
	for _, c := range []struct {
		text   string
		want   float64
		failed bool
	}{
		{`target.first_token * 10.0`, 2, false},
		{`target.in_flight + 1`, 8, false},
		{`request.stream ? target.first_token : target.total`, 0.2, false},
		{`1u`, 1, false},
		{`0.0 / 0.0`, 0, true},
		{`target.context / (target.priority - 2)`, 0, true},
	} {
		p, err := expr.Score(c.text, expr.OfTargets)
		if err != nil {
			t.Fatal(c.text, err)
		}
		if got, ok := p.ScoreOf(target(true)); got != c.want || ok == c.failed {
			t.Errorf("%s: got %v, %v; want %v", c.text, got, ok, c.want)
		}
	}
}

func TestWhatIsWrongAndWhere(t *testing.T) {
	for _, c := range []struct {
		text, want string
		of         expr.About
	}{
		{`request.modle == "x"`, "there is no request.modle; did you mean request.model? (at character 1)", expr.OfRequests},
		{"request.stream &&\n  request.tokns > 4", "there is no request.tokns; did you mean request.tokens? (at line 2, character 3)", expr.OfRequests},
		{`target.cost < 1.0`, "there is no target.cost: no target is chosen yet (at character 1)", expr.OfRequests},
		{`target.costs < 1.0`, "there is no target.costs; did you mean target.cost? (at character 1)", expr.OfTargets},
		{`request.bytes == "x"`, "found no matching overload for '_==_' applied to '(int, string)' (at character 15)", expr.OfRequests},
		{`request.bytes`, "it must be true or false, and is of type int (at character 1)", expr.OfRequests},
		{`request.stream &`, "token recognition error at: '&' (at character 16)", expr.OfRequests},
		{`exit(1)`, "there is no exit (at character 1)", expr.OfRequests},
		{``, "the expression ends too early (at character 1)", expr.OfRequests},
		{`request.model.matches("(")`, "", expr.OfRequests},
		{strings.Repeat("(", 3000) + "true" + strings.Repeat(")", 3000), "", expr.OfRequests},
		{strings.Repeat("true && ", 2000) + "true", "", expr.OfRequests},
		{strings.Repeat("[", 400) + strings.Repeat("]", 400) + ".size() == 1", "", expr.OfRequests},
	} {
		_, err := expr.Condition(c.text, c.of)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%.40q: got %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := expr.Score(`"a"`, expr.OfTargets); err == nil || !strings.Contains(err.Error(), "it must be a number, and is of type string") {
		t.Error(err)
	}
}

// hostile are expressions that would take very long, or very much memory.
var hostile = []string{
	`[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, [1,2,3,4,5,6,7,8,9,10].all(f, [1,2,3,4,5,6,7,8,9,10].all(g, [1,2,3,4,5,6,7,8,9,10].all(h, a+b+c+d+e+f+g+h > 0))))))))`,
	`["aaaaaaaaaaaaaaaa"]` + strings.Repeat(`.map(x, x+x)`, 40) + `.size() == 1`,
	`[[1]]` + strings.Repeat(`.map(x, x+x)`, 40) + `.size() == 1`,
	`[request.model]` + strings.Repeat(`.map(x, x+x+x+x)`, 20) + `[0].matches("(a+)+$")`,
}

func TestHostileExpressionsAreBounded(t *testing.T) {
	for _, text := range hostile {
		p, err := expr.Condition(text, expr.OfRequests)
		if err != nil {
			continue // refused
		}
		began := time.Now()
		p.Holds(request())
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("%.60s: %v", text, d)
		}
	}
}

func FuzzCondition(f *testing.F) {
	for _, s := range append([]string{`request.tags["a"] == "b"`, `target.cost < 1.0 || request.stream`, `request.headers.x.matches("^a")`, `request.needs.exists(n, n == "tools")`, "request.time < timestamp('2026-01-01T00:00:00Z')\n&& true"}, hostile...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, of := range []expr.About{expr.OfRequests, expr.OfTargets} {
			p, err := expr.Condition(text, of)
			if err != nil {
				if err.Error() == "" {
					t.Error("nothing is said")
				}
				continue
			}
			began := time.Now()
			v, k := target(true)
			if of == expr.OfRequests {
				p.Holds(request())
			} else if a, b := p.HoldsFor(v, k), p.HoldsFor(v, k); a != b {
				t.Errorf("%q is %v and then %v", text, a, b)
			}
			if d := time.Since(began); d > 5*time.Second {
				t.Errorf("%q takes %v", text, d)
			}
		}
	})
}

func BenchmarkCondition(b *testing.B) {
	p, err := expr.Condition(`request.tags.tier == "gold" || target.cost < 0.01 && target.region == "eu"`, expr.OfTargets)
	if err != nil {
		b.Fatal(err)
	}
	v, k := target(true)
	b.ReportAllocs()
	for b.Loop() {
		p.HoldsFor(v, k)
	}
}
