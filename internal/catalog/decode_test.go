package catalog

import (
	"strings"
	"testing"
)

// good is a list with everything that a line can have.
const good = "#as_of 2026-08-22\n@v\nm-1\tm\tchat\t1000/10\t3.800\ti2.5o10;>200:i5;0-5:i1;=batch:i1;@2026-09-01:i3;*fast:2000;%eu:1100\tR2025-01 K2024 X2027-01-01 m5 d3\n"

func TestALineThatCannotBeReadIsNamed(t *testing.T) {
	if _, err := decode(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, from, to, want string }{
		{"an empty line", "@v\n", "@v\n\n", "line 3 is empty"},
		{"a model before any vendor", "@v\n", "", "line 2 stands before any vendor"},
		{"a limit that is no number", "1000/", "1k/", "line 3: m-1: "},
		{"abilities that are no number", "3.800", "x.800", "line 3: m-1: "},
		{"an item that nobody knows", "i2.5", "z2.5", `unknown item 'z'`},
		{"a price that is none", "i2.5", "i2.5.5", "not a price"},
		{"items out of order", "i2.5o10", "o10i2.5", "out of order"},
		{"an item twice", "i2.5", "i2.5i2.5", "out of order"},
		{"a part without a head", ">200:i5", "i5", "has no head"},
		{"a tier of no number", ">200", ">many", "m-1: price: "},
		{"a range of no number", "0-5", "a-5", "m-1: price: "},
		{"a day that is none", "2026-09-01", "2026-09-31", "m-1: price: "},
		{"a factor that is none", "2000", "2x", "m-1: price: "},
		{"a field that nobody knows", "R2025", "Z2025", "unknown field Z2025"},
		{"a field that is empty", "R2025-01 ", "R2025-01  ", "unknown field"},
		{"a prefix of no number", "m5", "mx", "m-1: "},
	} {
		_, err := decode(strings.Replace(good, c.from, c.to, 1))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(list); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDirectory(b *testing.B) {
	b.ReportAllocs()
	t := registry()
	for b.Loop() {
		direct(t)
	}
}
