package sse

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// show writes an event on a line.
func show(ev *Event) string {
	what := "event"
	if ev.Comment {
		what = "comment"
	}
	if ev.Partial {
		what = "partial " + what
	}
	if len(ev.Name) > 0 {
		what += " " + string(ev.Name)
	}
	if ev.Comment && ev.Data == nil {
		return what + " without text"
	}
	return fmt.Sprintf("%s %q", what, ev.Data)
}

// run parses pieces and returns the events, shown, and each one's raw bytes.
func run(p *Parser, pieces ...string) (events, raw []string, err error) {
	for i, piece := range pieces {
		chunk := []byte(piece)
		err = p.Feed(chunk, i == len(pieces)-1, func(ev *Event) error {
			events = append(events, show(ev))
			raw = append(raw, string(ev.Raw))
			return nil
		})
		for i := range chunk { // the parser must have kept none of it
			chunk[i] = 'X'
		}
		if err != nil {
			return events, raw, err
		}
	}
	return events, raw, nil
}

// cut parts s into pieces of n bytes, and at least one piece.
func cut(s string, n int) []string {
	var out []string
	for len(s) > n {
		out = append(out, s[:n])
		s = s[n:]
	}
	return append(out, s)
}

var readings = []struct {
	name, in string
	want     []string
}{
	{"an empty stream has no events", "", nil},
	{"line feeds end lines", "data: a\n\ndata: b\n\n", []string{`event "a"`, `event "b"`}},
	{"carriage return and line feed end lines", "data: a\r\n\r\ndata: b\r\n\r\n", []string{`event "a"`, `event "b"`}},
	{"carriage returns end lines", "data: a\r\rdata: b\r\r", []string{`event "a"`, `event "b"`}},
	{"line ends may be mixed", "event: x\rdata: a\r\n\ndata: b\n\r\ndata: c\r\n\rdata: d\n\r", []string{`event x "a"`, `event "b"`, `event "c"`, `event "d"`}},
	{"a line feed behind the last carriage return belongs to it", "data: a\r\r\ndata: b\n\n", []string{`event "a"`, `event "b"`}},
	{"a byte order mark at the start is passed over", "\ufeffdata: a\n\n", []string{`event "a"`}},
	{"a byte order mark before an empty line is passed over", "\ufeff\ndata: a\n\n", []string{`event "a"`}},
	{"a byte order mark is passed over once", "\ufeff\ufeffdata: a\n\n", []string{"comment without text"}},
	{"a byte order mark later makes an unknown field", "data: a\n\n\ufeffdata: b\n\n", []string{`event "a"`, "comment without text"}},
	{"a byte order mark alone is no event", "\ufeff", []string{"partial comment without text"}},
	{"a half byte order mark is no byte order mark", "\xef\xbbdata: a\n\n", []string{"comment without text"}},
	{"the space behind the colon may be missing", "data:a\nevent:x\n\n", []string{`event x "a"`}},
	{"only one space is taken off", "data:  a \n\n", []string{`event " a "`}},
	{"a tab is not taken off", "data:\ta\n\n", []string{`event "\ta"`}},
	{"data lines are joined by a line feed", "data: a\ndata: b\r\ndata:c\r\r", []string{`event "a\nb\nc"`}},
	{"empty data lines count", "data:\ndata: \ndata\n\n", []string{`event "\n\n"`}},
	{"data without a colon is an event with empty data", "data\n\n", []string{`event ""`}},
	{"data without a colon may stand between others", "data: a\ndata\ndata: b\n\n", []string{`event "a\n\nb"`}},
	{"data with an empty value is an event", "data:\n\n", []string{`event ""`}},
	{"colons in the value stay", "data: a: b:c\n\n", []string{`event "a: b:c"`}},
	{"the last name counts", "event: x\nevent: y\ndata: a\n\n", []string{`event y "a"`}},
	{"an empty name takes the name away", "event: x\nevent\ndata: a\n\n", []string{`event "a"`}},
	{"a name behind the data counts", "data: a\nevent: x\n\n", []string{`event x "a"`}},
	{"a name does not outlive its frame", "event: x\ndata: a\n\ndata: b\n\n", []string{`event x "a"`, `event "b"`}},
	{"field names are case-sensitive", "Data: a\nDATA: b\ndata : c\n data: d\n\n", []string{"comment without text"}},
	{"id and retry beside data are passed over", "id: 7\nretry: 100\ndata: a\n\n", []string{`event "a"`}},
	{"a lone retry is no event and keeps its bytes", "retry: 100\n\ndata: a\n\n", []string{"comment without text", `event "a"`}},
	{"a lone id is no event", "id: 1\n\n", []string{"comment without text"}},
	{"a lone name is no event", "event: x\n\n", []string{"comment without text"}},
	{"unknown fields are passed over", "foo: 1\nbar\ndata: a\n\n", []string{`event "a"`}},
	{"a comment is given with its text", ": keep-alive\n\n", []string{`comment "keep-alive"`}},
	{"a comment may be empty", ":\n\n", []string{`comment ""`}},
	{"a comment needs no space", ":OPENROUTER PROCESSING\n\n", []string{`comment "OPENROUTER PROCESSING"`}},
	{"of several comments the last is given", ": a\n: b\n\n", []string{`comment "b"`}},
	{"a comment in an event is passed over", ": c\ndata: a\n: d\ndata: b\n\n", []string{`event "a\nb"`}},
	{"further blank lines are no events", "data: a\n\n\n\r\n\rdata: b\n\n", []string{`event "a"`, "comment without text", "comment without text", "comment without text", `event "b"`}},
	{"a last blank line may be missing", "data: a\n\ndata: b\n", []string{`event "a"`, `partial event "b"`}},
	{"a last line end may be missing", "data: [DONE]", []string{`partial event "[DONE]"`}},
	{"a lone carriage return ends the last frame", "data: a\n\r", []string{`event "a"`}},
	{"a carriage return before the end is one line end", "data: a\r", []string{`partial event "a"`}},
	{"a frame cut before its data is no event", "data: a\n\nevent: x\n", []string{`event "a"`, "partial comment without text"}},
	{"a comment may be cut", ": keep", []string{`partial comment "keep"`}},
	{"characters beyond ASCII stay whole", "event: é\ndata: 日本\ndata: 😀\n\n", []string{`event é "日本\n😀"`}},
	{"other line ends of Unicode and form feeds end no line", "data: a\u2028b\u0085c\fd\ve\n\n", []string{`event "a\u2028b\u0085c\fd\ve"`}},
	{"invalid UTF-8 and zero bytes stay as they are", "data: \xff\x00\xc3\n\n", []string{`event "\xff\x00\xc3"`}},
	{"white space alone is an unknown field", " \n\ndata: a\n\n", []string{"comment without text", `event "a"`}},
}

func TestReadingByTheStandard(t *testing.T) {
	for _, tt := range readings {
		t.Run(tt.name, func(t *testing.T) {
			var whole []string
			for _, n := range []int{1 << 20, 1, 2, 3, 7, 64} {
				got, raw, err := run(&Parser{}, cut(tt.in, n)...)
				if err != nil {
					t.Fatalf("in pieces of %d: %v", n, err)
				}
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Errorf("in pieces of %d (-want +got):\n%s", n, d)
				}
				if s := strings.Join(raw, ""); s != tt.in {
					t.Errorf("in pieces of %d: raw is %q, want %q", n, s, tt.in)
				}
				if whole == nil {
					whole = raw
				}
				if d := cmp.Diff(whole, raw); d != "" {
					t.Errorf("raw frames in pieces of %d (-whole +got):\n%s", n, d)
				}
			}
		})
	}
}

func TestTheEndMayComeInACallOfItsOwn(t *testing.T) {
	for _, tt := range readings {
		got, raw, err := run(&Parser{}, tt.in, "")
		if err != nil || strings.Join(raw, "") != tt.in {
			t.Errorf("%s: %v, raw %q", tt.name, err, raw)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

func TestAnEventIsGivenAsSoonAsItIsWhole(t *testing.T) {
	var p Parser
	for i, step := range []struct{ in, want string }{
		{"data: a\n", ""},
		{"\n", `event "a"`},
		{"data: b\r\n\r", ""}, // a line feed may follow
		{"\n", `event "b"`},
		{"data: c\r\r", ""},
		{"d", `event "c"`},
		{"ata: d\n\n: x\n\nda", `event "d" comment "x"`},
	} {
		var got []string
		if err := p.Feed([]byte(step.in), false, func(ev *Event) error { got = append(got, show(ev)); return nil }); err != nil {
			t.Fatal(err)
		}
		if g := strings.Join(got, " "); g != step.want {
			t.Errorf("step %d: got %s, want %s", i, g, step.want)
		}
	}
}

func TestAFrameOverTheLimitIsRefused(t *testing.T) {
	frame := "data: 4567\n\n" // 12 bytes
	for _, tt := range []struct {
		name, in string
		most     int
		events   int
		want     error
	}{
		{"a frame of the limit passes", frame + frame, 12, 2, nil},
		{"a frame over the limit fails behind the ones before it", "data: 4\n\n" + frame, 11, 1, ErrTooLong},
		{"an unfinished frame over the limit fails", "data: 4\n\n" + "data: 4567\n", 10, 1, ErrTooLong},
		{"an unfinished frame of the limit passes", "data: 4567\n", 11, 1, nil},
		{"a stream of small frames has no limit", strings.Repeat(frame, 100), 12, 100, nil},
		{"a frame just within the default passes", "data: " + strings.Repeat("x", DefaultMax-8) + "\n\n", 0, 1, nil},
		{"a frame just over the default fails", "data: " + strings.Repeat("x", DefaultMax-7) + "\n\n", 0, 0, ErrTooLong},
		{"an endless line fails", strings.Repeat("x", DefaultMax+1), 0, 0, ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{1 << 22, 1, 5} {
				events, _, err := run(&Parser{Max: tt.most}, cut(tt.in, n)...)
				if !errors.Is(err, tt.want) || len(events) != tt.events {
					t.Errorf("in pieces of %d: %d events, %v, want %d, %v", n, len(events), err, tt.events, tt.want)
				}
			}
		})
	}
}

func TestAnErrorOfTheReceiverEndsTheCall(t *testing.T) {
	stop := errors.New("stop")
	for _, in := range []string{"data: a\n\ndata: b\n\n", "data: a\n", ":c\n\ndata: a\n\n"} {
		n := 0
		var p Parser
		err := p.Feed([]byte(in), true, func(*Event) error { n++; return stop })
		if err != stop || n != 1 {
			t.Errorf("%q: %d calls, %v", in, n, err)
		}
	}
}

// A frame of 1 MB that comes byte by byte must not be searched or moved anew for each byte.
func TestALargeFrameInSmallPiecesTakesLinearWork(t *testing.T) {
	in := []byte("event: x\ndata: " + strings.Repeat("y", 500_000) + "\r\ndata: " + strings.Repeat("z", 500_000) + "\r\n\r\n")
	p := Parser{Max: 1 << 21}
	searched, grown, events := 0, 0, 0
	for i := range in {
		before, room := p.at, cap(p.buf)
		err := p.Feed(in[i:i+1], i == len(in)-1, func(ev *Event) error {
			events++
			if len(ev.Data) != 1_000_001 || !bytes.Equal(ev.Raw, in) {
				t.Errorf("%d bytes of data, %d raw", len(ev.Data), len(ev.Raw))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.buf) > 0 {
			searched += len(p.buf) - before
		}
		if cap(p.buf) != room {
			grown++
		}
	}
	if events != 1 {
		t.Errorf("%d events", events)
	}
	if searched > 2*len(in) {
		t.Errorf("%d bytes were searched for an event of %d", searched, len(in))
	}
	if grown > 64 {
		t.Errorf("the buffer grew %d times", grown)
	}
}

// A chunk of many lines must be searched once, whatever its line ends are.
func TestManyLinesOfOneKindInOneChunk(t *testing.T) {
	for _, end := range []string{"\n", "\r", "\r\n"} {
		in := []byte(strings.Repeat("data:"+end, 150_000) + end)
		events := 0
		p := Parser{Max: len(in)}
		if err := p.Feed(in, true, func(ev *Event) error {
			events++
			if len(ev.Data) != 149_999 {
				t.Errorf("%q: %d bytes of data", end, len(ev.Data))
			}
			return nil
		}); err != nil || events != 1 {
			t.Errorf("%q: %d events, %v", end, events, err)
		}
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	out := AppendEvent(nil, "", []byte(`{"a":1}`))
	out = AppendEvent(out, "message_start", []byte(`{"type":"message_start"}`))
	out = AppendComment(out, "keep-alive")
	out = AppendComment(out, "")
	out = AppendEvent(out, "", []byte(" [DONE]"))
	want := "data: {\"a\":1}\n\nevent: message_start\ndata: {\"type\":\"message_start\"}\n\n: keep-alive\n\n: \n\ndata:  [DONE]\n\n"
	if d := cmp.Diff(want, string(out)); d != "" {
		t.Fatalf("written (-want +got):\n%s", d)
	}
	got, _, err := run(&Parser{}, string(out))
	events := []string{`event "{\"a\":1}"`, `event message_start "{\"type\":\"message_start\"}"`, `comment "keep-alive"`, `comment ""`, `event " [DONE]"`}
	if d := cmp.Diff(events, got); d != "" || err != nil {
		t.Errorf("read: %v (-want +got):\n%s", err, d)
	}
}

func TestLineEndsAreFoundAtEveryOffset(t *testing.T) {
	for _, fill := range []byte{'x', 0, '\t', '\v', '\f', '\t' + 0x80, '\n' ^ 1, '\n' + 0x80, '\r' + 0x80, '\r' ^ 1, 0xff} {
		for size := range 20 {
			b := bytes.Repeat([]byte{fill}, size)
			for from := range size + 1 {
				if got := lineEnd(b, from); got != size {
					t.Errorf("fill %#x, %d bytes from %d: got %d", fill, size, from, got)
				}
			}
			for at := range size {
				for _, end := range []byte("\n\r") {
					b[at] = end
					if got := lineEnd(b, 0); got != at {
						t.Errorf("fill %#x, %d bytes, %q at %d: got %d", fill, size, end, at, got)
					}
					b[at] = fill
				}
			}
		}
	}
}
