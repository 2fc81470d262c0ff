package jsonx

import (
	"slices"
	"strings"
	"testing"
)

// short leaves out what is only long.
func short(f *testing.F) {
	for _, tt := range faults {
		if len(tt.in) < 4096 {
			f.Add([]byte(tt.in))
		}
	}
}

// FuzzScan holds Scan and the walk against the JSON library.
func FuzzScan(f *testing.F) {
	short(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		agree(t, in)
		was := string(in)
		if d, err := Scan(in); err == nil && string(d.Body) != was {
			t.Fatalf("the document became %q", d.Body)
		}
	})
}

// FuzzSplice sets one member and removes another: the result is a document with the others as they were.
func FuzzSplice(f *testing.F) {
	f.Fuzz(func(t *testing.T, in []byte, set, raw, remove string) {
		d, err := Scan(in)
		if err != nil || Valid([]byte(raw)) != nil {
			return
		}
		name, _ := String(AppendQuote(nil, set)) // of valid UTF-8
		_, there := d.Get(name)
		want := pairs(d)
		if i := slices.IndexFunc(want, func(p pair) bool { return p.Name == name }); i >= 0 {
			want[i].Value = raw
		} else {
			want = append(want, pair{name, raw})
		}
		edits := []Edit{d.Set(name, []byte(raw))}
		if e, ok := d.Remove(remove); ok && remove != name && (there || len(d.Members) > 1) {
			edits = append(edits, e)
			want = slices.DeleteFunc(want, func(p pair) bool { return p.Name == remove })
		}
		out := Splice(nil, in, edits...)
		got, err := Scan(out)
		if err != nil {
			if strings.Contains(err.Error(), "nested deeper") {
				return // the new value is deep
			}
			t.Fatalf("%q became %q: %v", in, out, err)
		}
		if !slices.Equal(pairs(got), want) {
			t.Fatalf("%q became %q, want %q", in, out, want)
		}
	})
}

// FuzzWalk walks what was never validated: nothing may panic or fail to end, and every part lies within.
func FuzzWalk(f *testing.F) {
	short(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		n := 0
		for _, v := range Members(in) {
			n += len(v)
			touch(v, 0)
		}
		for _, v := range Elements(in) {
			n += len(v)
			touch(v, 0)
		}
		if n > len(in) {
			t.Fatalf("%q has parts of %d bytes", in, n)
		}
		touch(in, 0)
	})
}

func touch(raw []byte, depth int) {
	Kind(raw)
	IsNull(raw)
	Int(raw)
	Float(raw)
	Bool(raw)
	String(raw)
	AppendString(nil, raw)
	At(raw, "a", "b")
	if depth > 100 {
		return
	}
	for _, v := range Members(raw) {
		touch(v, depth+1)
	}
	for _, v := range Elements(raw) {
		touch(v, depth+1)
	}
}
