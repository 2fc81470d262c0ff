package policy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

func TestCapable(t *testing.T) {
	sees := target("a/sees", facts(catalog.Facts{Known: true, Can: ability.Vision | ability.Tools, Context: 1000, MaxOutput: 100}))
	blind := target("a/blind", facts(catalog.Facts{Known: true, Can: ability.Tools, Context: 100_000, MaxOutput: 4000, JSONSchema: true}))
	beside := target("a/beside", facts(catalog.Facts{Known: true, Can: ability.Tools, Context: 2000, Input: 900, MaxOutput: 1000}))
	strange := target("a/strange", routing.About{})
	all := []routing.Target{sees, blind, beside, strange}
	for _, c := range []struct {
		name    string
		policy  policy.Capable
		request match.Request
		loses   string // the target that cannot carry everything
		want    string
		why     string
	}{
		{"a request that needs nothing goes anywhere", policy.Capable{}, request(&asked{}), "", "a/sees a/blind a/beside a/strange", ""},
		{"images need a model that sees, or one that nobody knows", policy.Capable{}, request(&asked{needs: ability.Vision}), "", "a/sees a/strange", "a/blind: it has not vision"},
		{"a schema may be told by other facts", policy.Capable{}, request(&asked{needs: ability.JSONSchema}), "", "a/blind a/strange", "a/sees: it has not json_schema"},
		{"a prompt that its bytes show to fit is not counted", policy.Capable{}, match.Request{Bytes: 800, More: &asked{tokens: 1 << 40}}, "", "a/sees a/blind a/beside a/strange", ""},
		{"a prompt that is too long", policy.Capable{}, match.Request{Bytes: 9000, More: &asked{tokens: 1001}}, "", "a/blind a/strange", "a/sees: the prompt and its answer are 1 tokens too long for it"},
		{"a prompt with its answer", policy.Capable{}, match.Request{Bytes: 9000, Output: 100, More: &asked{tokens: 950}}, "", "a/blind a/strange", "a/sees: the prompt and its answer are 50 tokens too long for it"},
		{"a prompt beside which the answer has room of its own", policy.Capable{}, match.Request{Bytes: 9000, Output: 100, More: &asked{tokens: 900}}, "", "a/sees a/blind a/beside a/strange", ""},
		{"what is kept for an answer is no more than the model gives", policy.Capable{Reserve: 5000}, match.Request{Bytes: 9000, More: &asked{tokens: 900}}, "", "a/sees a/blind a/beside a/strange", ""},
		{"what is kept for an answer", policy.Capable{Reserve: 5000}, match.Request{Bytes: 9000, More: &asked{tokens: 901}}, "", "a/blind a/strange", "a/sees: the prompt and its answer are 1 tokens too long for it"},
		{"nobody is left out by a guess", policy.Capable{}, match.Request{Bytes: 1 << 30, More: &asked{}}, "", "a/sees a/blind a/beside a/strange", ""},
		{"an answer that is too long", policy.Capable{}, match.Request{Output: 1001, More: &asked{}}, "", "a/blind a/strange", "a/sees: its answers have at most 100 tokens"},
		{"losses do not matter unless asked", policy.Capable{}, request(&asked{}), "a/blind", "a/sees a/blind a/beside a/strange", ""},
		{"losses", policy.Capable{Lossless: true}, request(&asked{}), "a/blind", "a/sees a/beside a/strange", "a/blind: it cannot carry logprobs"},
		{"nothing more is known of the request", policy.Capable{}, match.Request{Bytes: 1 << 40}, "", "a/sees a/blind a/beside a/strange", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := view(c.request)
			v.Loses = func(t *routing.Target) string {
				if t.String() == c.loses {
					return "logprobs"
				}
				return ""
			}
			got, said, err := decide(t, &c.policy, v, all...)
			if err != nil || got != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
			if why := dropped(said); c.why != "" && !strings.Contains(why, c.why) {
				t.Errorf("got %q, want %q", why, c.why)
			}
		})
	}
}

// dropped writes what a policy left out.
func dropped(v *routing.Verdict) string {
	var all []string
	for _, d := range v.Dropped {
		all = append(all, d.Target+": "+d.Why)
	}
	return strings.Join(all, "; ")
}

// scores writes what a policy said of those that it ordered.
func scores(v *routing.Verdict) string {
	var all []string
	for _, s := range v.Scores {
		all = append(all, s.Target+": "+s.Score)
	}
	return strings.Join(all, "; ")
}

func TestWhereNobodyIsCapable(t *testing.T) {
	blind := target("a/blind", facts(catalog.Facts{Known: true, Can: ability.Tools}))
	if got := plan(t, &policy.Capable{}, view(request(&asked{needs: ability.Vision})), blind); got != "a/blind" {
		t.Errorf("the provider is not asked: %s", got)
	}
	got := plan(t, &policy.Capable{Strict: true}, view(request(&asked{needs: ability.Vision})), blind)
	if want := "error: route r has no usable target; a/blind: it has not vision"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHealthy(t *testing.T) {
	good, poor, open, cold := target("a/good", tried(50, 0, 0, 0)), target("b/poor", tried(50, 10, 0, 0)), target("c/open", down()), target("d/cold", routing.About{})
	for _, c := range []struct {
		name    string
		policy  policy.Healthy
		targets []routing.Target
		want    string
	}{
		{"an open breaker", policy.Healthy{Attempts: 20}, []routing.Target{open, good, poor, cold}, "a/good b/poor d/cold"},
		{"all are open: all stay, the last resort", policy.Healthy{Attempts: 20}, []routing.Target{open}, "c/open"},
		{"too many failures", policy.Healthy{Success: 90, Attempts: 20}, []routing.Target{poor, good, cold}, "a/good d/cold"},
		{"too few attempts to tell", policy.Healthy{Success: 90, Attempts: 1000}, []routing.Target{poor, good}, "b/poor a/good"},
		{"nobody is good enough", policy.Healthy{Success: 90, Attempts: 20}, []routing.Target{open, poor}, "b/poor c/open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := plan(t, &c.policy, view(request(nil)), c.targets...); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestRegionAndResidency(t *testing.T) {
	dublin, london, texas := target("a/dublin", routing.About{Region: "eu-west-1"}), target("b/london", routing.About{Region: "eu-west-2"}), target("c/texas", routing.About{Region: "southcentralus"})
	paris := target("d/paris", routing.About{Traits: []string{"retention=none", "hosted=fr"}})
	nowhere := target("e/nowhere", routing.About{Traits: []string{"hosted=several"}})
	abroad := target("f/abroad", routing.About{Region: "eu-west-1", Traits: []string{"residency=us"}})
	all := []routing.Target{dublin, london, texas, paris, nowhere, abroad}
	for _, c := range []struct {
		name   string
		policy routing.Policy
		want   string
	}{
		{"a group", &policy.Region{In: []string{"eu"}}, "a/dublin f/abroad"},
		{"several", &policy.Region{In: []string{"uk", "us"}}, "b/london c/texas"},
		{"nobody is there", &policy.Region{In: []string{"jp"}}, "error: route r has no usable target; a/dublin: its region is eu-west-1; b/london: its region is eu-west-2; c/texas: its region is southcentralus; d/paris: nobody knows its region; e/nowhere: nobody knows its region; f/abroad: its region is eu-west-1"},
		{"where data stays", &policy.Residency{In: []string{"eu"}}, "a/dublin d/paris"},
		{"where data does not stay", &policy.Residency{In: []string{"jp"}}, "error: route r has no usable target; a/dublin: it keeps data in eu-west-1 (region); b/london: it keeps data in eu-west-2 (region); c/texas: it keeps data in southcentralus (region); d/paris: it keeps data in fr (vendor); e/nowhere: nobody knows where it keeps data; f/abroad: it keeps data in us (trait)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := plan(t, c.policy, view(request(nil)), all...); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestCompliance(t *testing.T) {
	none := target("a/none", routing.About{Kind: "groq", Traits: []string{"retention=none", "soc2", "training=no"}})
	some := target("b/some", routing.About{Kind: "openai", Traits: []string{"retention=limited", "soc2", "hipaa", "training=opt-in"}})
	own := target("c/own", routing.About{Kind: "vllm", Traits: []string{"retention=own", "hipaa=no"}})
	bare := target("d/bare", routing.About{Kind: "openai"})
	all := []routing.Target{none, some, own, bare}
	for _, c := range []struct {
		name   string
		policy policy.Compliance
		want   string
		why    string
	}{
		{"nothing is kept", policy.Compliance{Retention: "none"}, "a/none c/own", "b/some: its retention is limited; d/bare: it does not state retention"},
		{"kept for a time", policy.Compliance{Retention: "limited"}, "a/none b/some c/own", "d/bare: it does not state retention"},
		{"a certification", policy.Compliance{Certifications: []string{"soc2"}}, "a/none b/some", "c/own: it does not state soc2"},
		{"a certification that is stated not to be there", policy.Compliance{Certifications: []string{"hipaa"}}, "b/some", "c/own: its hipaa is no"},
		{"vendors", policy.Compliance{Vendors: []string{"open*", "c"}}, "b/some c/own d/bare", "a/none: its vendor is none of those that are allowed"},
		{"vendors that are not allowed", policy.Compliance{NotVendors: []string{"openai"}}, "a/none c/own", "b/some: its vendor is not allowed"},
		{"a trait with values", policy.Compliance{Traits: []string{"training=no|never"}}, "a/none", "b/some: its training is opt-in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, said, _ := decide(t, checked(t, &c.policy), view(request(nil)), all...)
			if got != c.want || !strings.Contains(dropped(said), c.why) {
				t.Errorf("got %s, %s; want %s, %s", got, dropped(said), c.want, c.why)
			}
		})
	}
	if err := (&policy.Compliance{}).Check(); err == nil {
		t.Error("a policy that asks for nothing passes")
	}
}

func TestSchedule(t *testing.T) {
	all := []routing.Target{target("a/x", routing.About{}), target("b/x", routing.About{}), target("b/y", routing.About{})}
	const same, b = "a/x b/x b/y", "b/x b/y"
	night := policy.Schedule{From: "22:00", To: "06:00", Days: []string{"fri"}, Zone: "UTC", Only: []string{"b/*"}}
	for _, c := range []struct {
		name   string
		policy policy.Schedule
		at     string
		want   string
	}{
		{"by day", policy.Schedule{From: "09:00", To: "17:00", Zone: "UTC", Only: []string{"b/*"}}, "2026-11-27T12:30:00Z", b},
		{"its end is not part of it", policy.Schedule{From: "09:00", To: "17:00", Zone: "UTC", Only: []string{"b/*"}}, "2026-11-27T17:00:00Z", same},
		{"its beginning is", policy.Schedule{From: "09:00", To: "17:00", Zone: "UTC", Only: []string{"b/*"}}, "2026-11-27T09:00:00Z", b},
		{"elsewhere the hour is another", policy.Schedule{From: "09:00", To: "17:00", Zone: "America/New_York", Only: []string{"b/*"}}, "2026-11-27T13:30:00Z", same},
		{"and in summer another again", policy.Schedule{From: "09:00", To: "17:00", Zone: "America/New_York", Only: []string{"b/*"}}, "2026-07-27T13:30:00Z", b},
		{"before midnight", night, "2026-11-27T23:00:00Z", b},
		{"after midnight it is the night of the day before", night, "2026-11-28T05:59:00Z", b},
		{"the night before is another day's", night, "2026-11-27T05:00:00Z", same},
		{"whole days", policy.Schedule{Days: []string{"sat", "sun"}, Zone: "UTC", Never: []string{"a/x"}}, "2026-11-28T00:00:00Z", b},
		{"other days", policy.Schedule{Days: []string{"sat", "sun"}, Zone: "UTC", Never: []string{"a/x"}}, "2026-11-30T00:00:00Z", same},
		{"preferred", policy.Schedule{Days: []string{"fri"}, Zone: "UTC", Prefer: []string{"b/y"}}, "2026-11-27T00:00:00Z", "b/y a/x b/x"},
		{"avoided", policy.Schedule{Days: []string{"fri"}, Zone: "UTC", Avoid: []string{"*/x"}}, "2026-11-27T00:00:00Z", "b/y a/x b/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := view(request(nil))
			v.Now, _ = time.Parse(time.RFC3339, c.at)
			if got := plan(t, checked(t, &c.policy), v, all...); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	for name, p := range map[string]policy.Schedule{
		"half an hour":      {From: "09:00", Only: []string{"a"}},
		"no targets":        {From: "09:00", To: "10:00"},
		"at all times":      {Only: []string{"a"}},
		"of no length":      {From: "09:00", To: "09:00", Only: []string{"a"}},
		"zone of no planet": {From: "09:00", To: "10:00", Zone: "Mars/Olympus", Only: []string{"a"}},
	} {
		if p.Check() == nil {
			t.Errorf("%s: passes", name)
		}
	}
}

func TestLimits(t *testing.T) {
	with := func(name string, r health.Room) routing.Target {
		h := health.NewTargets().Of("p", "m")
		h.Limits(r, now)
		h.Begin("k", now)
		h.End(health.Attempt{Key: "k"}, now)
		return target(name, routing.About{Health: h})
	}
	full, half, low, none := with("a/full", health.Room{Requests: 1, Tokens: 0.9}), with("b/half", health.Room{Requests: 0.9, Tokens: 0.1}), with("c/low", health.Room{Requests: 0.05, Tokens: -1}), with("d/none", health.Room{Requests: -1, Tokens: 0})
	p := made(t, "limits")
	passed := map[string]int{}
	const draws = 4000
	for n := range uint64(draws) {
		v := view(request(nil))
		v.Seed = n
		for _, k := range []routing.Target{full, half, low, none} {
			if got := plan(t, p, v, k, target("z/z", routing.About{})); strings.HasPrefix(got, "z/z") {
				passed[k.Provider]++
			}
		}
	}
	for name, want := range map[string]float64{"a": 0, "b": 0.5, "c": 0.75, "d": 1} {
		if share := float64(passed[name]) / draws; share < want-0.03 || share > want+0.03 {
			t.Errorf("%s is passed over by %.2f of requests, want %.2f", name, share, want)
		}
	}
}

func TestARuleThatLeavesNothingSaysThatTryingAgainIsInVain(t *testing.T) {
	texas := target("a/x", routing.About{Region: "us-east-1", Facts: catalog.Facts{Known: true}})
	for _, c := range []struct {
		name   string
		policy routing.Policy
		want   bool
	}{
		{"a region", &policy.Region{In: []string{"eu"}}, true},
		{"residency", &policy.Residency{In: []string{"eu"}}, true},
		{"compliance", &policy.Compliance{Retention: "none"}, true},
		{"abilities, strictly", &policy.Capable{Strict: true}, true},
		{"the time of day", checked(t, &policy.Schedule{Days: []string{"fri"}, Zone: "UTC", Never: []string{"a/x"}}), false},
		{"an expression", checked(t, &policy.CEL{Keep: "target.cost < 1.0"}), false},
	} {
		_, _, err := decide(t, c.policy, view(request(&asked{needs: ability.Vision})), texas)
		var none *routing.NoTarget
		if !errors.As(err, &none) || none.Lasting != c.want {
			t.Errorf("%s: %+v, %v", c.name, none, err)
		}
	}
}
