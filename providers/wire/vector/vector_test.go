package vector

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

func TestBothFormsAreRead(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []float32
	}{
		{`[1,-0.5,1e-3]`, []float32{1, -0.5, 0.001}},
		{` [ 1 , 2 ] `[1:], []float32{1, 2}},
		{`"AACAPwAAAL8="`, []float32{1, -0.5}}, // as Python's struct.pack("<2f", 1, -0.5) has it
		{`"2w9JQA=="`, []float32{math.Pi}},
		{`"\/\/9\/fw=="`, []float32{math.MaxFloat32}}, // a slash may be escaped
		{`[]`, nil}, {`""`, nil}, {`"AAAA"`, nil}, {`"!"`, nil}, {`[1,"2"]`, nil}, {`[1e39]`, nil}, {`null`, nil}, {`{}`, nil}, {``, nil},
	} {
		got, ok := Read([]byte(c.in))
		if ok != (c.want != nil) || ok && cmp.Diff(got, c.want) != "" {
			t.Errorf("%s: got %v, %v, want %v", c.in, got, ok, c.want)
		}
	}
}

// TestWhatIsWrittenIsReadBack holds bit for bit.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(rapid.Float32(), 1, 20).Draw(t, "vector")
		got, ok := Read(AppendBase64(nil, v))
		if !ok || len(got) != len(v) {
			t.Fatalf("got %v, %v", got, ok)
		}
		for i := range v {
			if math.Float32bits(got[i]) != math.Float32bits(v[i]) {
				t.Fatalf("base64: %v became %v", v[i], got[i])
			}
		}
		b, finite := Append(nil, v)
		if err := jsonx.Valid(b); err != nil {
			t.Fatal(err)
		}
		if got, ok = Read(b); finite && (!ok || fmt.Sprint(got) != fmt.Sprint(v)) {
			t.Fatalf("numbers: %v became %v", v, got)
		}
	})
}

func TestWhatJSONCannotSayIsTold(t *testing.T) {
	for _, f := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		if b, ok := Append(nil, []float32{1, f}); ok || string(b) != "[1,0]" {
			t.Errorf("%v: got %s, %v", f, b, ok)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	v := make([]float32, 1536)
	for i := range v {
		v[i] = float32(i)/1536 - 0.5
	}
	numbers, _ := Append(nil, v)
	for name, in := range map[string][]byte{"numbers": numbers, "base64": AppendBase64(nil, v)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, ok := Read(in); !ok {
					b.Fatal("not read")
				}
			}
		})
	}
}
