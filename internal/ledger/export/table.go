package export

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// table writes rows of a struct whose fields name their columns by the tag parquet. A decimal is an int64 with so many
// decimal places; as text it is written out.
type table[T any] interface {
	row(r *T) error
	close() error
}

func newTable[T any](format string, w io.Writer) (table[T], error) {
	columns := columnsOf(reflect.TypeFor[T](), nil)
	switch format {
	case "csv":
		t := &csvTable[T]{csv.NewWriter(w), columns, make([]string, len(columns))}
		for i, c := range columns {
			t.cells[i] = c.name
		}
		return t, t.w.Write(t.cells)
	case "jsonl":
		return &jsonTable[T]{bufio.NewWriterSize(w, 1<<16), columns, nil}, nil
	case "parquet":
		return &parquetTable[T]{w: parquet.NewGenericWriter[T](w, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("signalbox", "", ""))}, nil
	}
	return nil, fmt.Errorf("unknown format %q", format)
}

// column is a field of a row.
type column struct {
	name   string
	index  []int
	places int  // of a decimal; 0: it is none
	raw    bool // a JSON value
}

func columnsOf(t reflect.Type, at []int) (out []column) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int(nil), at...), i)
		if f.Anonymous {
			out = append(out, columnsOf(f.Type, index)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("parquet"), ",")
		c := column{name: name, index: index, raw: strings.Contains(options, "json")}
		if _, rest, ok := strings.Cut(options, "decimal("); ok {
			scale, _, _ := strings.Cut(rest, ":")
			c.places, _ = strconv.Atoi(scale)
		}
		out = append(out, c)
	}
	return out
}

// text writes a column's value; null says that it has none.
func (c *column) text(row reflect.Value) (s string, number, null bool) {
	v := row.FieldByIndex(c.index)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "", false, true
		}
		v = v.Elem()
	}
	switch x := v.Interface().(type) {
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano), false, false
	case string:
		return x, false, x == ""
	case bool:
		return strconv.FormatBool(x), true, false
	}
	if c.places > 0 {
		return decimal(v.Int(), c.places), false, false
	}
	return strconv.FormatInt(v.Int(), 10), true, false
}

// decimal writes n/10^places without zeros at its end.
func decimal(n int64, places int) string {
	sign, u := "", uint64(n)
	if n < 0 {
		sign, u = "-", -uint64(n)
	}
	s := strconv.FormatUint(u, 10)
	if len(s) <= places {
		s = strings.Repeat("0", places+1-len(s)) + s
	}
	whole, frac := s[:len(s)-places], strings.TrimRight(s[len(s)-places:], "0")
	if frac == "" {
		return sign + whole
	}
	return sign + whole + "." + frac
}

type csvTable[T any] struct {
	w       *csv.Writer
	columns []column
	cells   []string
}

func (t *csvTable[T]) row(r *T) error {
	v := reflect.ValueOf(r).Elem()
	for i := range t.columns {
		t.cells[i], _, _ = t.columns[i].text(v)
	}
	return t.w.Write(t.cells)
}

func (t *csvTable[T]) close() error {
	t.w.Flush()
	return t.w.Error()
}

// jsonTable writes a JSON object for each row. Decimals are texts, exact; what has no value is left out.
type jsonTable[T any] struct {
	w       *bufio.Writer
	columns []column
	line    []byte
}

func (t *jsonTable[T]) row(r *T) error {
	v := reflect.ValueOf(r).Elem()
	t.line = append(t.line[:0], '{')
	for i := range t.columns {
		c := &t.columns[i]
		s, number, null := c.text(v)
		switch {
		case null:
		case number || c.raw:
			t.line = append(jsonx.AppendKey(t.line, c.name), s...)
		default:
			t.line = jsonx.AppendText(t.line, c.name, s)
		}
	}
	_, err := t.w.Write(append(t.line, '}', '\n'))
	return err
}

func (t *jsonTable[T]) close() error { return t.w.Flush() }

type parquetTable[T any] struct {
	w    *parquet.GenericWriter[T]
	rows []T
	n    int
}

// Rows that are handed over together, and rows of a group: what a reader has to hold at once.
const (
	handover = 256
	group    = 100_000
)

func (t *parquetTable[T]) row(r *T) error {
	t.rows = append(t.rows, *r)
	if len(t.rows) < handover {
		return nil
	}
	return t.pass()
}

func (t *parquetTable[T]) pass() error {
	n, err := t.w.Write(t.rows)
	t.rows = t.rows[:0]
	if t.n += n; err == nil && t.n >= group {
		t.n = 0
		err = t.w.Flush()
	}
	return err
}

func (t *parquetTable[T]) close() error {
	if err := t.pass(); err != nil {
		return err
	}
	return t.w.Close()
}
