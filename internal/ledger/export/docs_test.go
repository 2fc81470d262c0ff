package export_test

import (
	"os"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/export"
)

// The documents name every item, flag, status, source, dimension, shape and format that a reader can meet.
func TestTheDocumentsNameEverything(t *testing.T) {
	page := func(name string) string {
		text, err := os.ReadFile("../../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	costs, records := page("costs.md"), page("ledger.md")
	for i := range price.Item(price.Items) {
		if !strings.Contains(costs, "`"+i.String()+"`") {
			t.Errorf("docs/costs.md does not name the item %s", i)
		}
	}
	for _, f := range cost.Flags(1<<16 - 1).Names() {
		if !strings.Contains(costs, "| `"+f+"` |") {
			t.Errorf("docs/costs.md does not explain the flag %s", f)
		}
	}
	names := append(export.Shapes(), export.Formats()...)
	for _, s := range []ledger.Status{ledger.OK, ledger.ClientAbort, ledger.UpstreamError, ledger.Timeout, ledger.Refused, ledger.Expired, ledger.Cached} {
		names = append(names, string(s))
	}
	for _, s := range []ledger.Source{ledger.Provider, ledger.Counted, ledger.Bytes, ledger.Reserved} {
		names = append(names, string(s))
	}
	for _, n := range names {
		if !strings.Contains(records, "`"+n+"`") {
			t.Errorf("docs/ledger.md does not name %s", n)
		}
	}
	for _, d := range book.Dimensions() {
		if !strings.Contains(records, strings.ReplaceAll(d, "_", " ")) {
			t.Errorf("docs/ledger.md does not name the dimension %s", d)
		}
	}
}
