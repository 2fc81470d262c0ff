package jsonarray

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func cut(t interface{ Fatal(...any) }, in string, n int) ([]string, bool) {
	var p Parser
	var got []string
	for len(in) > 0 {
		k := min(n, len(in))
		if err := p.Feed([]byte(in[:k]), func(e []byte) error { got = append(got, string(e)); return nil }); err != nil {
			t.Fatal(err)
		}
		in = in[k:]
	}
	return got, p.Whole()
}

func TestElementsDoNotDependOnTheCuts(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
		whole    bool
	}{
		{"nothing", "", nil, false},
		{"an empty array", " [ ] ", nil, true},
		{"objects as Google writes them", "[{\n \"a\": 1\n}\n,\r\n{\"b\":[2,{}]}\n]", []string{"{\n \"a\": 1\n}", `{"b":[2,{}]}`}, true},
		{"brackets and quotes in strings", `[{"a":"}]\"{"},{"b":"\\"}]`, []string{`{"a":"}]\"{"}`, `{"b":"\\"}`}, true},
		{"scalars", `[1, "x" ,null]`, []string{"1", `"x"`, "null"}, true},
		{"an unfinished element", `[{"a":1},{"b":`, []string{`{"a":1}`}, false},
		{"no end", `[{"a":1},`, []string{`{"a":1}`}, false},
		{"something behind the end", `[{}] [{}]`, []string{"{}"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for n := 1; n <= max(len(c.in), 1); n++ {
				if got, whole := cut(t, c.in, n); !slices.Equal(got, c.want) || whole != c.whole {
					t.Fatalf("cut every %d: %q, whole %t", n, got, whole)
				}
			}
		})
	}
}

func TestWhatIsNoArrayOrTooLargeIsRefused(t *testing.T) {
	var p Parser
	if err := p.Feed([]byte(" {}"), nil); !errors.Is(err, ErrNotArray) {
		t.Error(err)
	}
	p = Parser{Max: 10}
	for range 3 {
		if err := p.Feed([]byte("[[1111,"), nil); err != nil && !errors.Is(err, ErrTooLong) {
			t.Fatal(err)
		} else if err != nil {
			return
		}
	}
	t.Error("an element over the limit was taken")
}

func TestJoinedElementsComeApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.SampledFrom([]string{`{}`, `{"a":[1,"]"]}`, `"\\\""`, `[[],{}]`, `-1.5`, `true`, `"é"`})).Draw(t, "elements")
		got, whole := cut(t, "["+strings.Join(want, ",")+"]", rapid.IntRange(1, 9).Draw(t, "cut"))
		if !slices.Equal(got, want) || !whole {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func FuzzFeed(f *testing.F) {
	f.Add([]byte(`[{"a":"}]"},1]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		feed := func(n int) (got []string, bad error) {
			p := Parser{Max: 64}
			for rest := in; len(rest) > 0 && bad == nil; {
				k := min(n, len(rest))
				bad = p.Feed(rest[:k], func(e []byte) error { got = append(got, string(e)); return nil })
				rest = rest[k:]
			}
			return got, bad
		}
		all, bad := feed(len(in) + 1)
		bytewise, alsoBad := feed(1)
		if (bad == nil) != (alsoBad == nil) || bad == nil && !slices.Equal(all, bytewise) {
			t.Fatalf("%q, %v; byte by byte %q, %v", all, bad, bytewise, alsoBad)
		}
	})
}
