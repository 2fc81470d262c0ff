package usage_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/usage"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
	usagev1 "github.com/signalbox-ai/signalbox/proto/signalbox/usage/v1"
)

var update = flag.Bool("update", false, "rewrite golden files")

// fill gives every field of a value something of its own.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{fmt.Sprintf("b-%d", *n): "1", fmt.Sprintf("a-%d", *n): "2"}))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(ledgertest.Noon().Add(time.Duration(*n) * time.Millisecond)))
			return
		}
		for _, f := range v.Fields() {
			fill(f, n)
		}
	default:
		panic("a field of another kind: " + v.Type().String())
	}
}

func whole() *ledger.Record {
	r, n := new(ledger.Record), 0
	fill(reflect.ValueOf(r).Elem(), &n)
	r.Line = "" // it states nothing of its own
	return r
}

// back writes a record and reads it again.
func back(t *testing.T, r *ledger.Record) *ledger.Record {
	t.Helper()
	b, err := usage.Append(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := usage.Read(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestNothingIsLostEitherWay(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	all := []*ledger.Record{whole(), {At: ledgertest.Noon()}, ledgertest.Make("late", ledgertest.Noon(), func(r *ledger.Record) {
		r.Sequence, r.Cause, r.Attempts[0].Units[0] = 1, "late", -5
		r.Attempts[0].Bill = ledger.Bill{Cost: math.MinInt64 + 1, List: -1, Saved: math.MaxInt64}
		r.Attempts = append(r.Attempts, ledger.Attempt{})
	})}
	for n := range 1000 {
		all = append(all, ledgertest.Random(rnd, n, ledgertest.Noon().Add(time.Duration(rnd.Int64N(1e15)))))
	}
	for _, r := range all {
		if diff := cmp.Diff(r, back(t, r), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("-wrote +read\n%s", diff)
		}
	}
}

// TestEveryFieldIsUsed finds fields of the message that nothing is written to.
func TestEveryFieldIsUsed(t *testing.T) {
	var walk func(path string, m protoreflect.Message)
	walk = func(path string, m protoreflect.Message) {
		for i := range m.Descriptor().Fields().Len() {
			f := m.Descriptor().Fields().Get(i)
			switch at := path + "." + string(f.Name()); {
			case !m.Has(f):
				t.Errorf("%s is never written", at)
			case f.IsMap() || f.Message() == nil:
			case f.IsList():
				walk(at, m.Get(f).List().Get(0).Message())
			default:
				if m, ok := m.Get(f).Message().Interface().(*timestamppb.Timestamp); ok && m.IsValid() {
					continue
				}
				walk(at, m.Get(f).Message())
			}
		}
	}
	walk("record", usage.Of(whole()).ProtoReflect())
}

// TestTheBytesStay holds the bytes of a record, which programs of others read: a difference is one of the format.
func TestTheBytesStay(t *testing.T) {
	const file = "testdata/record.hex"
	b, err := usage.Append(nil, whole())
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := usage.Append(nil, whole())
		if err != nil || !bytes.Equal(b, again) {
			t.Fatal("the same record has other bytes", err)
		}
	}
	got := hex.Dump(b)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestAStreamIsReadRecordByRecord(t *testing.T) {
	var b []byte
	for i := range 3 {
		var err error
		if b, err = usage.Append(b, ledgertest.Make(fmt.Sprint("x", i), ledgertest.Noon())); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReader(bytes.NewReader(b))
	for i := range 3 {
		if got, err := usage.Read(r); err != nil || got.ID != fmt.Sprint("x", i) {
			t.Fatal(got, err)
		}
	}
	if _, err := usage.Read(r); err != io.EOF {
		t.Errorf("at its end: %v", err)
	}
	if _, err := usage.Read(bufio.NewReader(bytes.NewReader(b[:10]))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a torn record: %v", err)
	}
	if _, err := usage.Read(bufio.NewReader(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}))); err == nil {
		t.Error("a record of 4 GiB is taken")
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for _, c := range []struct {
		change func(*usagev1.Record)
		want   string
	}{
		{func(m *usagev1.Record) { m.At = nil }, "at: "},
		{func(m *usagev1.Record) { m.At = &timestamppb.Timestamp{Nanos: -1} }, "at: "},
		{func(m *usagev1.Record) { m.Attempts[0].Units["dreams"] = 3 }, `attempts[0].units: "dreams" is no item`},
	} {
		m := proto.CloneOf(usage.Of(ledgertest.Make("a", ledgertest.Noon())))
		c.change(m)
		if _, err := usage.Record(m); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// TestFieldsToComeArePassedOver reads a record that a later version has written.
func TestFieldsToComeArePassedOver(t *testing.T) {
	want := ledgertest.Make("a", ledgertest.Noon())
	m := usage.Of(want)
	m.ProtoReflect().SetUnknown([]byte{0xa2, 0x06, 0x03, 'n', 'e', 'w'}) // field 100
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	read := new(usagev1.Record)
	if err := proto.Unmarshal(b, read); err != nil {
		t.Fatal(err)
	}
	got, err := usage.Record(read)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func BenchmarkAppend(b *testing.B) {
	r := ledgertest.Make("x", ledgertest.Noon())
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = usage.Append(dst[:0], r)
	}
}
