package export_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/export"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

var update = flag.Bool("update", false, "write the golden files")

func write(t *testing.T, shape, format string, records []*ledger.Record) []byte {
	t.Helper()
	var b bytes.Buffer
	s, err := export.New(shape, format, &b)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sample has what makes a difference to a reader: several attempts, refusals, corrections, expiry, fees, awkward tags.
func sample() []*ledger.Record {
	noon := ledgertest.Noon()
	return []*ledger.Record{
		ledgertest.Make("a", noon),
		ledgertest.Make("a", noon, func(r *ledger.Record) {
			r.Sequence, r.Cause = 1, "invoice"
			r.Attempts[0].Units = ledger.Units{price.Output: -30}
			r.Attempts[0].Bill = ledger.Bill{Cost: -300_000, List: -300_000, Card: "0123456789abcdef", Version: "2026-08-22", Lines: []ledger.Line{{Item: "output", Units: -30, Rate: "0.00001", Cost: -300_000}}}
		}),
		ledgertest.Make("b", noon.Add(time.Minute), func(r *ledger.Record) {
			r.Tags = map[string]string{"note": "a, \"b\"\\c", "feature": "search"}
			b := r.Attempts[0]
			b.Number, b.Provider, b.Kind, b.Model, b.Service, b.Exact, b.Source = 2, "claude", "anthropic", "claude-sonnet-4-5", "priority", false, ledger.Reserved
			b.Flags = []ledger.Flag{"priced_up", "unmeasured"}
			b.Units = ledger.Units{price.Input: 10, price.WebSearch: 2}
			b.Bill = ledger.Bill{Cost: 20_030_000, List: 20_030_000, Card: "fedcba9876543210", Version: "config", Lines: []ledger.Line{{Item: "input", Units: 10, Rate: "0.000003", Cost: 30_000}, {Item: "web_search", Units: 2, Rate: "0.01", Cost: 20_000_000}}}
			r.Attempts[0].Code, r.Attempts[0].Bill, r.Attempts[0].Units = "timeout", ledger.Bill{}, ledger.Units{}
			r.Attempts = append(r.Attempts, b)
		}),
		ledgertest.Make("c", noon.Add(time.Hour), func(r *ledger.Record) {
			r.Attempts, r.Tags, r.Who = nil, nil, ledger.Who{Team: "core"}
			r.Result = ledger.Result{Status: ledger.Refused, HTTP: 429, Why: "over_quota"}
		}),
		expired(noon.Add(61 * time.Minute)),
	}
}

func expired(at time.Time) *ledger.Record {
	r := ledgertest.Make("d", at, func(r *ledger.Record) {
		r.Attempts, r.Tags, r.Result = nil, nil, ledger.Result{Status: ledger.Expired}
	})
	r.Money.Cost, r.Money.List = 50_000_000, 50_000_000
	return r
}

func TestGolden(t *testing.T) {
	for _, c := range []struct{ shape, format string }{{"records", "jsonl"}, {"attempts", "csv"}, {"attempts", "jsonl"}, {"focus", "csv"}, {"focus", "jsonl"}} {
		t.Run(c.shape+" as "+c.format, func(t *testing.T) {
			got := write(t, c.shape, c.format, sample())
			file := filepath.Join("testdata", c.shape+"."+c.format)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(got), string(want)); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

// TestEveryTokenIsInAColumn: the columns of tokens add up to the prompt and the answer, whatever they are of.
func TestEveryTokenIsInAColumn(t *testing.T) {
	r := ledgertest.Make("a", ledgertest.Noon())
	for i := range price.Item(price.Items) {
		r.Attempts[0].Units[i] = 1 << i
	}
	var row struct {
		Input     int64 `json:"input_tokens"`
		Cached    int64 `json:"cache_read_tokens"`
		Written   int64 `json:"cache_write_tokens"`
		Output    int64 `json:"output_tokens"`
		Reasoning int64 `json:"reasoning_tokens"`
		AudioIn   int64 `json:"audio_input_tokens"`
		AudioOut  int64 `json:"audio_output_tokens"`
	}
	if err := jsonx.Decode(write(t, "attempts", "jsonl", []*ledger.Record{r}), &row); err != nil {
		t.Fatal(err)
	}
	u := r.Attempts[0].Units
	if got := row.Input + row.Cached + row.Written + row.AudioIn; got != u.Prompt() {
		t.Errorf("the prompt has %b, its columns have %b", u.Prompt(), got)
	}
	if got := row.Output + row.Reasoning + row.AudioOut; got != u.Answer() {
		t.Errorf("the answer has %b, its columns have %b", u.Answer(), got)
	}
}

func TestJSONLinesAreTheRecords(t *testing.T) {
	var back []*ledger.Record
	for line := range bytes.Lines(write(t, "records", "jsonl", sample())) {
		r, err := ledger.Decode(line)
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, r)
	}
	if diff := cmp.Diff(back, sample()); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// A reader of Parquet finds what a reader of the CSV finds.
func TestParquetIsTheCSV(t *testing.T) {
	for _, shape := range []string{"attempts", "focus"} {
		t.Run(shape, func(t *testing.T) {
			table, err := csv.NewReader(bytes.NewReader(write(t, shape, "csv", sample()))).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			data := write(t, shape, "parquet", sample())
			f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range f.Schema().Columns() {
				names = append(names, strings.Join(p, "."))
			}
			if diff := cmp.Diff(names, table[0]); diff != "" {
				t.Fatalf("columns (-parquet +csv):\n%s", diff)
			}
			if n := f.NumRows(); n != int64(len(table)-1) {
				t.Fatalf("%d rows, want %d", n, len(table)-1)
			}
			row := 0
			for _, g := range f.RowGroups() {
				rows := g.Rows()
				defer rows.Close()
				buf := make([]parquet.Row, 1)
				for {
					n, err := rows.ReadRows(buf)
					if n == 0 {
						if !errors.Is(err, io.EOF) {
							t.Error(err)
						}
						break
					}
					row++
					for _, v := range buf[0] {
						if got, want := cell(t, f, names[v.Column()], v), table[row][v.Column()]; got != want {
							t.Errorf("row %d, %s: got %q, want %q", row, names[v.Column()], got, want)
						}
					}
				}
			}
		})
	}
}

// cell writes a value as the CSV has it.
func cell(t *testing.T, f *parquet.File, name string, v parquet.Value) string {
	t.Helper()
	leaf, ok := f.Schema().Lookup(name)
	if !ok {
		t.Fatal(name)
	}
	if v.IsNull() {
		return ""
	}
	if l := leaf.Node.Type().LogicalType(); l != nil {
		switch l := l.Value.(type) {
		case *format.DecimalType:
			n := ledger.Nano(v.Int64())
			for range 9 - l.Scale {
				n *= 10
			}
			return n.String()
		case *format.TimestampType:
			return time.UnixMilli(v.Int64()).UTC().Format(time.RFC3339Nano)
		}
	}
	if v.Kind() == parquet.ByteArray {
		return string(v.ByteArray())
	}
	return v.String()
}

// No shape loses or makes money, whatever the lines of a bill say.
func TestEveryShapeKeepsTheSums(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var records []*ledger.Record
	var cost, list ledger.Nano
	for n := range 300 {
		r := ledgertest.Random(rnd, n, ledgertest.Noon().Add(time.Duration(n)*time.Minute))
		a := &r.Attempts[0]
		a.Bill.Lines = nil
		left := a.Bill.Cost
		for left > 0 && rnd.IntN(4) > 0 {
			part := ledger.Nano(rnd.Int64N(int64(left) + 1))
			a.Bill.Lines = append(a.Bill.Lines, ledger.Line{Item: "input", Units: rnd.Int64N(100), Rate: "0.000001", Cost: part})
			left -= part
		}
		a.Bill.List = ledger.Nano(rnd.Int64N(90_000_000)) - 10_000_000
		if rnd.IntN(5) == 0 {
			r.Sequence = 1
			a.Bill.Cost = -a.Bill.Cost
		}
		r.Total()
		cost, list = cost+r.Money.Cost, list+r.Money.List
		records = append(records, r)
	}
	slices.SortFunc(records, (*ledger.Record).Compare)
	for _, shape := range []struct{ name, cost, list string }{{"attempts", "cost_usd", "list_cost_usd"}, {"focus", "BilledCost", "ListCost"}} {
		var gotCost, gotList ledger.Nano
		for line := range bytes.Lines(write(t, shape.name, "jsonl", records)) {
			for _, f := range []struct {
				name string
				to   *ledger.Nano
			}{{shape.cost, &gotCost}, {shape.list, &gotList}} {
				s, ok := jsonx.String(jsonx.Get(bytes.TrimSpace(line), f.name))
				v, err := ledger.ParseNano(s)
				if !ok || err != nil {
					t.Fatalf("%s of %s", f.name, line)
				}
				*f.to += v
			}
		}
		if gotCost != cost || gotList != list {
			t.Errorf("%s: cost %s, list %s; want %s, %s", shape.name, gotCost, gotList, cost, list)
		}
	}
}

func TestWhatCannotBeExported(t *testing.T) {
	for _, c := range [][2]string{{"records", "csv"}, {"rows", "csv"}, {"focus", "xlsx"}, {"", ""}} {
		if _, err := export.New(c[0], c[1], &bytes.Buffer{}); err == nil {
			t.Errorf("%s as %s is possible", c[0], c[1])
		}
	}
}

func TestAnEmptyExportIsAWholeFile(t *testing.T) {
	data := write(t, "focus", "parquet", nil)
	if f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data))); err != nil || f.NumRows() != 0 {
		t.Errorf("%v", err)
	}
	if got := write(t, "attempts", "csv", nil); bytes.Count(got, []byte("\n")) != 1 {
		t.Errorf("got %q, want the columns' names", got)
	}
}
