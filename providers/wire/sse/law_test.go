package sse

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// reference reads the events of a stream by the letter of the standard: line by line, over strings.
func reference(s string) (events []string) {
	s = strings.TrimPrefix(s, "\ufeff")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(s, "\n")
	partial := lines[len(lines)-1] != "" || len(lines) > 1 && lines[len(lines)-2] != ""
	name, data := "", []string(nil)
	dispatch := func(what string) {
		if data != nil {
			if name != "" {
				what += " " + name
			}
			events = append(events, fmt.Sprintf("%s %q", what, strings.Join(data, "\n")))
		}
		name, data = "", nil
	}
	for _, l := range lines[:len(lines)-1] {
		if l == "" {
			dispatch("event")
			continue
		}
		field(l, &name, &data)
	}
	if partial {
		if l := lines[len(lines)-1]; l != "" {
			field(l, &name, &data)
		}
		dispatch("partial event")
	}
	return events
}

func field(line string, name *string, data *[]string) {
	f, v, _ := strings.Cut(line, ":")
	v = strings.TrimPrefix(v, " ")
	switch f {
	case "event":
		*name = v
	case "data":
		*data = append(*data, v)
	}
}

var words = rapid.SampledFrom([]string{
	"\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", ":", ": ", " ", "data", "data:", "data: ", "event: ", "event", "id: 1", "retry: 5", "dat",
	"a", "é", "😀", "\ufeff", "\xef\xbb", "\xff", "\x00", `{"x":[1,2]}`, "[DONE]", "0123456789abcdef",
})

func streams() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(words, 0, 60).Draw(t, "words"), "")
	})
}

// cuts parts s where rapid likes.
func cuts(t *rapid.T, s string) []string {
	at := rapid.SliceOfN(rapid.IntRange(0, len(s)), 0, 12).Draw(t, "cuts")
	slices.Sort(at)
	var out []string
	from := 0
	for _, a := range at {
		out = append(out, s[from:a])
		from = a
	}
	return append(out, s[from:])
}

func TestAStreamReadsAsByTheStandardHoweverItIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := streams().Draw(t, "stream")
		want := reference(in)
		whole, frames, err := run(&Parser{}, in)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, dispatched(whole)); d != "" {
			t.Fatalf("events (-standard +got):\n%s", d)
		}
		if s := strings.Join(frames, ""); s != in {
			t.Fatalf("raw is %q", s)
		}
		for _, pieces := range [][]string{cuts(t, in), cut(in, 1), cut(in, 2), cut(in, 3), cut(in, 7), cut(in, 64)} {
			got, raw, err := run(&Parser{}, pieces...)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(whole, got) + cmp.Diff(frames, raw); d != "" {
				t.Fatalf("cut to %q (-whole +got):\n%s", pieces, d)
			}
		}
	})
}

// dispatched returns what a client would be given of shown events.
func dispatched(events []string) (out []string) {
	for _, e := range events {
		if !strings.HasPrefix(e, "comment ") && !strings.HasPrefix(e, "partial comment ") {
			out = append(out, e)
		}
	}
	return out
}

func TestWhatIsWrittenIsReadHoweverItIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out []byte
		var want []string
		for range rapid.IntRange(0, 8).Draw(t, "n") {
			text := rapid.StringMatching(`[^\r\n]{0,40}`).Draw(t, "text")
			if rapid.Bool().Draw(t, "comment") {
				out = AppendComment(out, text)
				want = append(want, fmt.Sprintf("comment %q", text))
				continue
			}
			name := rapid.SampledFrom([]string{"", "message_start", "é"}).Draw(t, "name")
			out = AppendEvent(out, name, []byte(text))
			want = append(want, show(&Event{Name: []byte(name), Data: []byte(text)}))
		}
		got, _, err := run(&Parser{}, cuts(t, string(out))...)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Fatalf("%v (-want +got):\n%s", err, d)
		}
	})
}

// FuzzParser holds a stream, cut at size, against the standard and against itself whole.
func FuzzParser(f *testing.F) {
	for _, tt := range readings {
		f.Add([]byte(tt.in), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		whole, frames, err := run(&Parser{}, string(in))
		if err != nil {
			t.Skip("over the limit")
		}
		if strings.Join(frames, "") != string(in) {
			t.Fatalf("raw is %q", frames)
		}
		got, raw, err := run(&Parser{}, cut(string(in), max(1, size%1024))...)
		if d := cmp.Diff(whole, got) + cmp.Diff(frames, raw); d != "" || err != nil {
			t.Fatalf("%v (-whole +got):\n%s", err, d)
		}
		if d := cmp.Diff(reference(string(in)), dispatched(whole)); d != "" {
			t.Fatalf("events (-standard +got):\n%s", d)
		}
	})
}
