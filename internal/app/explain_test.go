package app

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/explain"
	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// TestAnExchangeOfTheLedgerIsExplained: the decision is made again, and what cannot be known any more is named.
func TestAnExchangeOfTheLedgerIsExplained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "signalbox.yaml")
	if err := os.WriteFile(file, []byte(ways), 0o600); err != nil {
		t.Fatal(err)
	}
	core, err := Deciding(t.Context(), file, time.Unix(1_800_000_000, 0), 1, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s := core.Snapshot()
	at := time.Unix(1_800_000_000, 0).UTC()
	record := func(change func(*ledger.Record)) *ledger.Record {
		r := &ledger.Record{
			Key: ledger.Key{Organization: "default", ID: "06cqb9g0k1v7f2m8t3n4p5r6"}, At: at,
			Asked:    ledger.Asked{Op: "chat", Dialect: "openai-chat", Model: "a", Route: "a", Config: s.Version},
			Result:   ledger.Result{Status: ledger.OK},
			Attempts: []ledger.Attempt{{Number: 1, Target: ledger.Target{Provider: "mock", Model: "echo"}, Units: ledger.Units{price.Input: 20, price.Output: 5}}},
		}
		change(r)
		return r
	}
	for _, c := range []struct {
		name   string
		change func(*ledger.Record)
		later  time.Duration
		holds  []string
		not    []string
	}{
		{"just now", func(*ledger.Record) {}, time.Minute, []string{"the header x-kind", "the one that this replica knows now", "a ", "yes"}, []string{"the configuration of then"}},
		{"long ago", func(*ledger.Record) {}, time.Hour, []string{"all count as not tried"}, []string{"replica"}},
		{"by another configuration", func(r *ledger.Record) { r.Asked.Config = "0badcafe" }, time.Minute, []string{"the configuration of then, 0badcafe: this one is " + s.Version}, nil},
		{"before configurations were recorded", func(r *ledger.Record) { r.Asked.Config = "" }, time.Minute, []string{"the record does not name it"}, nil},
		{"on another route", func(r *ledger.Record) { r.Asked.Route = "gone" }, time.Minute, []string{"it took the route gone, and takes a here"}, nil},
		{"at another target", func(r *ledger.Record) { r.Attempts[0].Provider = "away" }, time.Minute, []string{"attempt 1 went to away/echo, and goes to "}, nil},
		{"of a model that is gone", func(r *ledger.Record) { r.Asked.Model = "gone" }, time.Minute, []string{"Here it is refused: no route takes the model gone"}, []string{"ATTEMPT"}},
		{"of a key of a store", func(r *ledger.Record) { r.Who.Key = "issued" }, time.Minute, []string{"the scope of its key"}, nil},
		{"of an arm that is gone", func(r *ledger.Record) { r.Asked.Arm = "e/x" }, time.Minute, []string{"the arm e/x of its experiment"}, nil},
		{"that was refused", func(r *ledger.Record) {
			r.Attempts, r.Result = nil, ledger.Result{Status: ledger.Refused, Why: "over_quota"}
		}, time.Minute, []string{"it was not sent: refused over_quota", "the tokens of its prompt"}, nil},
		{"of no choice", func(r *ledger.Record) { r.Asked.Op = "" }, time.Minute, []string{"there is nothing to decide about such an exchange"}, []string{"ATTEMPT"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := explain.Past(s, record(c.change), at.Add(c.later))
			second := explain.Read(first.Answer())
			second.Request = first.Request // which an answer leaves to its record
			var texts [2]bytes.Buffer
			for i, r := range []*explain.Report{first, second} {
				if err := r.Write(&texts[i]); err != nil {
					t.Fatal(err)
				}
			}
			got := texts[0].String()
			if texts[1].String() != got {
				t.Errorf("by the admin API it is\n%s\nand not\n%s", texts[1].String(), got)
			}
			for _, w := range c.holds {
				if !strings.Contains(got, w) {
					t.Errorf("it does not say %q:\n%s", w, got)
				}
			}
			for _, w := range c.not {
				if strings.Contains(got, w) {
					t.Errorf("it says %q:\n%s", w, got)
				}
			}
		})
	}
}
