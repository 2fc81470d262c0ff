package routing_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
)

func table() *routing.Table {
	return routing.NewTable([]*routing.Route{
		{Name: "wide", Models: []string{"gpt-*", "*"}},
		{Name: "narrow", Models: []string{"gpt-5.1", "gpt-5*", "claude-sonnet-4-5"}},
		{Name: "late", Models: []string{"gpt-5.1", "gpt-5.1-mini", "claude-*"}},
	}, map[string]string{"smart": "claude-sonnet-4-5", "gpt-5.1-mini": "gpt-5.1", "lost": "lost-model"})
}

func TestMatch(t *testing.T) {
	for _, c := range []struct{ name, model, want string }{
		{"an exact name goes before a glob of an earlier route", "gpt-5.1", "narrow"},
		{"among exact names the first route wins", "gpt-5.1", "narrow"},
		{"an exact name of a later route goes before every glob", "gpt-5.1-mini", "late"},
		{"among globs the first route wins", "gpt-5-nano", "wide"},
		{"a glob of a later route loses to an earlier catch-all", "claude-opus", "wide"},
		{"a catch-all takes what nobody names", "llama", "wide"},
		{"names are compared with their case", "GPT-5.1", "wide"},
		{"match does not follow aliases", "smart", "wide"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := table().Match(c.model); got == nil || got.Name != c.want {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
	if got := routing.NewTable(nil, nil).Match("x"); got != nil {
		t.Errorf("an empty table matches %+v", got)
	}
}

func TestAnAliasStandsForAnotherNameBeforeAnythingIsMatched(t *testing.T) {
	for in, want := range map[string]string{
		"smart":        "claude-sonnet-4-5",
		"gpt-5.1-mini": "gpt-5.1", // though a route has the name
		"gpt-5.1":      "gpt-5.1",
		"unknown":      "unknown",
	} {
		if got := table().Resolve(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestARouteIsFoundByItsName(t *testing.T) {
	tab := table()
	if r := tab.Route("late"); r == nil || r.Name != "late" {
		t.Errorf("got %+v", r)
	}
	if r := tab.Route("nobody"); r != nil {
		t.Errorf("got %+v", r)
	}
	var names []string
	for _, r := range tab.Routes() {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff(names, []string{"wide", "narrow", "late"}); diff != "" {
		t.Error(diff)
	}
}

func TestModelsListsExactNamesAndAliasesThatLeadSomewhere(t *testing.T) {
	exact := routing.NewTable([]*routing.Route{
		{Name: "a", Models: []string{"b", "x-*", "a"}},
		{Name: "b", Models: []string{"b", "c"}},
	}, map[string]string{"to-b": "b", "to-glob": "x-1", "to-nothing": "z", "c": "a"})
	if diff := cmp.Diff(exact.Models(), []string{"a", "b", "c", "to-b", "to-glob"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

func TestNear(t *testing.T) {
	tab := routing.NewTable([]*routing.Route{{Name: "r", Models: []string{"gpt-5.1", "gpt-5.1-mini", "gpt-5", "gpt-4o", "gpt-6", "claude-sonnet-4-5", "x*"}}}, map[string]string{"smart": "gpt-5"})
	for _, c := range []struct {
		name, model string
		want        []string
	}{
		{"nearest first, at most three", "gpt-51", []string{"gpt-5", "gpt-5.1", "gpt-4o"}},
		{"case does not count", "SMART", []string{"smart"}},
		{"a longer name may differ more", "claude-sonet-4.5", []string{"claude-sonnet-4-5"}},
		{"nothing is near", "llama-3-70b-instruct", nil},
		{"a very long name is no burden", strings.Repeat("gpt", 100000), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(tab.Near(c.model), c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestEveryRouteSaysWhyItDoesNotTakeARequest(t *testing.T) {
	tab := routing.NewTable([]*routing.Route{
		{Name: "bytes", Models: []string{"a", "a"}, Match: &match.Rule{Bytes: match.Range{Min: 100}}},
		{Name: "barred", Models: []string{"a"}},
		{Name: "tags", Models: []string{"a*"}, Match: &match.Rule{Tags: []match.Pair{{Name: "feature", Values: []string{"chat"}}}}},
		{Name: "takes", Models: []string{"*", "a*"}},
		{Name: "late", Models: []string{"?"}},
		{Name: "other", Models: []string{"b"}},
	}, nil)
	may := func(r *routing.Route) bool { return r.Name != "barred" }
	v := &routing.View{Request: match.Request{Model: "a", Bytes: 10}}
	want := []string{
		"bytes asks for other bytes", "barred the key may not use it, or the model's name is none that it could hand on",
		"tags asks for other tags.feature", "takes ", "late comes after takes", "other takes other models",
	}
	var got []string
	for r, why := range tab.Explain(v, may) {
		got = append(got, r.Name+" "+why)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)", diff)
	}
	if r, _ := tab.Find(v, may); r == nil || r.Name != "takes" {
		t.Errorf("found is %+v", r)
	}
}

func BenchmarkModels(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		var routes []*routing.Route
		aliases := map[string]string{}
		for i := range n {
			routes = append(routes, &routing.Route{Name: strconv.Itoa(i), Models: []string{fmt.Sprint("model-", i)}})
			aliases[fmt.Sprint("alias-", i)] = fmt.Sprint("model-", i)
		}
		table := routing.NewTable(routes, aliases)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(table.Models()) != 2*n {
					b.Fatal("some are missing")
				}
			}
		})
	}
}
