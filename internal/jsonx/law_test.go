package jsonx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// pair is a member as an oracle or a model has it.
type pair struct{ Name, Value string }

// oracle reads an object's members with the JSON library.
func oracle(b []byte) (out []pair, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(b))
	if k := d.PeekKind(); k != '{' {
		return nil, fmt.Errorf("the document begins with %v", k)
	}
	if _, err = d.ReadToken(); err != nil {
		return nil, err
	}
	for d.PeekKind() == '"' {
		n, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		name := n.String()
		v, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		out = append(out, pair{name, string(v)})
	}
	if _, err = d.ReadToken(); err != nil {
		return nil, err
	}
	if _, err = d.ReadToken(); err != io.EOF {
		return nil, fmt.Errorf("data behind the document: %w", err)
	}
	return out, nil
}

// pairs returns the members that Scan found.
func pairs(d *Doc) (out []pair) {
	for _, m := range d.Members {
		out = append(out, pair{m.Name, string(d.Body[m.Start:m.End])})
	}
	return out
}

// agree checks that Scan, the walk and the library judge and read a document alike.
func agree(t interface{ Fatalf(string, ...any) }, in []byte) {
	d, err := Scan(in)
	want, oerr := oracle(in)
	var se *SyntaxError
	switch {
	case err != nil && !errors.As(err, &se):
		t.Fatalf("%q: the error is %T", in, err)
	case err != nil && (se.Offset < 0 || se.Offset > len(in)):
		t.Fatalf("%q: %v", in, err)
	case err != nil && strings.HasPrefix(se.What, "nested deeper"), oerr != nil && strings.Contains(oerr.Error(), "depth"):
		return
	case (err == nil) != (oerr == nil):
		t.Fatalf("%q: Scan says %v, the library %v", in, err, oerr)
	case err != nil:
		return
	}
	if diff := cmp.Diff(want, pairs(d)); diff != "" {
		t.Fatalf("%q: members (-library +Scan):\n%s", in, diff)
	}
	var walked []pair
	for n, v := range Members(in) {
		walked = append(walked, pair{string(n), string(v)})
		same(t, v)
	}
	if diff := cmp.Diff(want, walked); diff != "" {
		t.Fatalf("%q: members (-library +walk):\n%s", in, diff)
	}
}

// same checks that the walk reads a value as the library does.
func same(t interface{ Fatalf(string, ...any) }, raw []byte) {
	if err := Valid(raw); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	switch Kind(raw) {
	case '"':
		var want string
		got, ok := String(raw)
		if err := json.Unmarshal(raw, &want); err != nil || !ok || got != want {
			t.Fatalf("%q: got %q, %v, the library has %q, %v", raw, got, ok, want, err)
		}
	case '0':
		var f float64
		got, ok := Float(raw)
		if err := json.Unmarshal(raw, &f); (err == nil) != ok || ok && got != f {
			t.Fatalf("%q: got %v, %v, the library has %v, %v", raw, got, ok, f, err)
		}
		if n, ok := Int(raw); ok && float64(n) != f {
			t.Fatalf("%q: got %d, the library has %v", raw, n, f)
		}
	case '[':
		var want []jsontext.Value
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		n := 0
		for i, v := range Elements(raw) {
			if n++; i >= len(want) || string(v) != string(want[i]) {
				t.Fatalf("%q: element %d is %q", raw, i, v)
			}
			same(t, v)
		}
		if n != len(want) {
			t.Fatalf("%q: %d elements, want %d", raw, n, len(want))
		}
	case '{':
		want, err := oracle(raw)
		n := 0
		for name, v := range Members(raw) {
			if n++; err != nil || n > len(want) || (pair{string(name), string(v)}) != want[n-1] {
				t.Fatalf("%q: member %q is %q, %v", raw, name, v, err)
			}
			same(t, v)
		}
		if n != len(want) {
			t.Fatalf("%q: %d members, want %d", raw, n, len(want))
		}
	}
}

var (
	blank   = rapid.SampledFrom([]string{"", "", "", " ", "\n", "\t\r "})
	content = rapid.SampledFrom([]string{
		"a", "b", "model", "stream", "12345678", "é", "日本", "😀", " ", "/", "{", "}", "[", ",", ":", "\x7f", "\ufeff", "\ufffd",
		`\"`, `\\`, `\/`, `\n`, `\b`, `\f`, `\r`, `\t`, `\u0061`, `\u00E9`, `\ud83d\ude00`, `\u0000`, `\u2028`,
	})
	scalars = rapid.SampledFrom([]string{"0", "-0", "1", "-12.5e+3", "1E400", "0.10", "9007199254740993", "true", "false", "null", "{}", "[ ]"})
	breaks  = rapid.SampledFrom([]string{
		"", `"`, `\`, "{", "}", "[", "]", ",", ":", "\x00", "\n", "\xff", "\xed\xa0\x80", `\ud800`, `\udc00`, `\x`, "0", "-", ".", "e", "tru", "\ufeff", "/**/", "'", "NaN",
	})
)

func quotedText(t *rapid.T) string {
	return `"` + strings.Join(rapid.SliceOfN(content, 0, 6).Draw(t, "text"), "") + `"`
}

// value draws a value; names may come twice.
func value(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	switch {
	case kind == 0 || depth > 3:
		return scalars.Draw(t, "scalar")
	case kind <= 2:
		return quotedText(t)
	case kind == 3:
		var items []string
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			items = append(items, blank.Draw(t, "ws")+value(t, depth+1)+blank.Draw(t, "ws"))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	return object(t, depth+1)
}

func object(t *rapid.T, depth int) string {
	most := 5
	if rapid.IntRange(0, 9).Draw(t, "large") == 0 {
		most = 40
	}
	var items []string
	for i := range rapid.IntRange(0, most).Draw(t, "n") {
		name := quotedText(t)
		if rapid.IntRange(0, 9).Draw(t, "unique") > 0 {
			name = name[:len(name)-1] + fmt.Sprint(i) + `"`
		}
		ws := func() string { return blank.Draw(t, "ws") }
		items = append(items, ws()+name+ws()+":"+ws()+value(t, depth)+ws())
	}
	return "{" + strings.Join(items, ",") + blank.Draw(t, "ws") + "}"
}

func TestScanAgreesWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := blank.Draw(t, "ws") + object(t, 0) + blank.Draw(t, "ws")
		agree(t, []byte(in))
		for range rapid.IntRange(0, 3).Draw(t, "breaks") { // and so they do of broken ones
			from := rapid.IntRange(0, len(in)).Draw(t, "from")
			to := min(len(in), from+rapid.IntRange(0, 3).Draw(t, "cut"))
			in = in[:from] + breaks.Draw(t, "break") + in[to:]
			agree(t, []byte(in))
		}
	})
}

func TestSpliceChangesTheSplicedMembersOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := object(t, 0)
		d, err := Scan([]byte(in))
		if err != nil {
			t.Skip("a name came twice")
		}
		raw := value(t, 1)
		if Valid([]byte(raw)) != nil {
			t.Skip("a name came twice")
		}
		var edits []Edit
		var want []pair
		removed := false
		for _, p := range pairs(d) {
			what := rapid.IntRange(0, 3).Draw(t, "what")
			switch {
			case what == 0:
				edits = append(edits, d.Set(p.Name, []byte(raw)))
				p.Value = raw
			case what == 1 && !removed:
				e, ok := d.Remove(p.Name)
				if !ok {
					t.Fatalf("%q is not there", p.Name)
				}
				edits, removed = append(edits, e), true
				continue
			}
			removed = false
			want = append(want, p)
		}
		if len(want) > 0 || len(d.Members) == 0 {
			if _, there := d.Get("added \"one\""); !there && rapid.Bool().Draw(t, "add") {
				edits = append(edits, d.Set("added \"one\"", []byte(raw)))
				want = append(want, pair{"added \"one\"", raw})
			}
		}
		out := Splice(nil, d.Body, rapid.Permutation(edits).Draw(t, "edits")...)
		got, err := Scan(out)
		if err != nil {
			t.Fatalf("%s became %s: %v", in, out, err)
		}
		if diff := cmp.Diff(want, pairs(got)); diff != "" {
			t.Fatalf("%s became %s (-want +got):\n%s", in, out, diff)
		}
		agree(t, out)
	})
}

func TestWhatIsQuotedIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		q := AppendQuote(nil, s)
		// An invalid byte is a replacement character each, which is how a conversion to runes reads them.
		if got, ok := String(q); !ok || got != string([]rune(s)) {
			t.Fatalf("%q is quoted as %s and read as %q, %v", s, q, got, ok)
		}
		same(t, q)
	})
}
