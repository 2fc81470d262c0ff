package providertest_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/providertest"
)

func doors(t testing.TB) []providertest.Door {
	t.Helper()
	ds, err := providertest.Doors(all.Servers())
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func TestEveryKindKeepsTheContract(t *testing.T) {
	kinds := all.Kinds()
	if len(kinds.Names()) == 0 {
		t.Fatal("there are no kinds")
	}
	ds := doors(t)
	for _, name := range kinds.Names() {
		k, ok := kinds.Kind(name)
		if !ok || k.Name != name {
			t.Fatalf("%q is listed, and not there", name)
		}
		t.Run(name, func(t *testing.T) { providertest.Contract(t, k, ds) })
	}
}

// TestEveryDoorHasItsRequests holds that whatever can be translated has requests in testdata/members.
func TestEveryDoorHasItsRequests(t *testing.T) {
	type door struct {
		name dialect.Name
		op   llm.Op
	}
	have := map[door]bool{}
	for _, d := range doors(t) {
		have[door{d.Name, d.Op}] = true
		if len(d.Requests) < 2 {
			t.Errorf("%s, %s: %d requests", d.Name, d.Op, len(d.Requests))
		}
	}
	servers := all.Servers()
	for _, p := range dialect.Paths() {
		switch p.Op {
		case llm.OpChat, llm.OpComplete, llm.OpCount, llm.OpEmbed, llm.OpRerank, llm.OpModerate:
			if servers[p.Name] != nil && !have[door{p.Name, p.Op}] {
				t.Errorf("%s has a front door for %s, and no requests for it: add them to testdata/members/%s.json", p.Name, p.Op, p.Name)
			}
		}
	}
}
