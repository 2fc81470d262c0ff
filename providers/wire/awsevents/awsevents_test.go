package awsevents_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
)

// frame is a Message that outlives its emit.
type frame struct {
	headers string
	payload string
	raw     string
}

// parse feeds b in pieces whose sizes next gives.
func parse(p *awsevents.Parser, b []byte, next func() int) (fs []frame, err error) {
	emit := func(m *awsevents.Message) error {
		f := frame{payload: string(m.Payload), raw: string(m.Raw)}
		for n, v := range m.Headers() {
			f.headers += fmt.Sprintf("%s %d %x\n", n, v.Type, v.Raw)
		}
		fs = append(fs, f)
		return nil
	}
	for {
		n := min(next(), len(b))
		piece := bytes.Clone(b[:n])
		b = b[n:]
		err = p.Feed(piece, len(b) == 0, emit)
		for i := range piece {
			piece[i] = 0xff // what was fed must not be kept
		}
		if err != nil || len(b) == 0 {
			return fs, err
		}
	}
}

func every(n int) func() int { return func() int { return n } }

func whole() int { return 1 << 30 }

// plain is a small frame with two headers.
func plain(payload string) []byte {
	h := awsevents.AppendString(nil, ":event-type", "chunk")
	h = awsevents.AppendString(h, ":message-type", "event")
	return awsevents.Append(nil, h, []byte(payload))
}

// broken makes a frame with lengths of one's own and right checksums.
func broken(total, headers uint32, rest []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, total)
	b = binary.BigEndian.AppendUint32(b, headers)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(b, rest...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// bad is every way in which a stream can be wrong.
func bad() []struct {
	name string
	b    []byte
	want error
} {
	ok := plain(`{"a":1}`)
	flip := func(i int) []byte {
		b := bytes.Clone(ok)
		b[(i+len(b))%len(b)] ^= 1
		return b
	}
	return []struct {
		name string
		b    []byte
		want error
	}{
		{"a wrong length", flip(3), awsevents.ErrPrelude},
		{"a wrong checksum of the prelude", flip(9), awsevents.ErrPrelude},
		{"a wrong header", flip(14), awsevents.ErrChecksum},
		{"a wrong payload", flip(-6), awsevents.ErrChecksum},
		{"a wrong checksum of the frame", flip(-1), awsevents.ErrChecksum},
		{"shorter than its own prelude", broken(15, 0, nil), awsevents.ErrLength},
		{"headers longer than the frame", broken(20, 5, []byte("abcd")), awsevents.ErrLength},
		{"headers over the limit", broken(1<<20, 200<<10, nil), awsevents.ErrTooLong},
		{"a frame over the limit", broken(1<<30, 0, nil), awsevents.ErrTooLong},
		{"an unknown type of header", broken(16+3, 3, []byte{1, 'a', 10}), awsevents.ErrHeaders},
		{"a name beyond the headers", broken(16+3, 3, []byte{9, 'a', 0}), awsevents.ErrHeaders},
		{"a name without a type", broken(16+2, 2, []byte{1, 'a'}), awsevents.ErrHeaders},
		{"a string without its length", broken(16+4, 4, []byte{1, 'a', 7, 0}), awsevents.ErrHeaders},
		{"a string beyond the headers", broken(16+6, 6, []byte{1, 'a', 7, 0, 9, 'x'}), awsevents.ErrHeaders},
		{"a number that is cut", broken(16+4, 4, []byte{1, 'a', 4, 0}), awsevents.ErrHeaders},
		{"an end within the prelude", ok[:7], awsevents.ErrCut},
		{"an end within the frame", ok[:len(ok)-1], awsevents.ErrCut},
	}
}

func TestBrokenStreamsAreRefusedHoweverTheyAreCut(t *testing.T) {
	for _, c := range bad() {
		t.Run(c.name, func(t *testing.T) {
			b := append(plain("first"), c.b...)
			for _, n := range []int{1, 2, 7, 13, 1 << 20} {
				fs, err := parse(&awsevents.Parser{Max: 1 << 20}, b, every(n))
				if !errors.Is(err, c.want) || len(fs) != 1 || fs[0].payload != "first" {
					t.Errorf("cut every %d bytes: got %d frames and %v, want one and %v", n, len(fs), err, c.want)
				}
			}
			p := &awsevents.Parser{Max: 1 << 20}
			if _, err := parse(p, b, whole); err != nil {
				if fs, err := parse(p, plain("more"), every(1)); len(fs) > 0 || !errors.Is(err, c.want) {
					t.Errorf("fed again: %d frames and %v", len(fs), err)
				}
			}
		})
	}
}

func TestTheOracleRefusesTheSame(t *testing.T) {
	for _, c := range bad() {
		if errors.Is(c.want, awsevents.ErrTooLong) || errors.Is(c.want, awsevents.ErrCut) && len(c.b) < 8 {
			continue // limits are the reader's own
		}
		if _, err := eventstream.NewDecoder().Decode(bytes.NewReader(c.b), nil); err == nil {
			t.Errorf("%s: the SDK reads it", c.name)
		}
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	b := plain(`{"contentBlockIndex":0,"delta":{"text":"Hi"}}`)
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		if fs, err := parse(new(awsevents.Parser), b, whole); err == nil {
			t.Errorf("bit %d: %d frames and no error", i, len(fs))
		}
		b[i/8] ^= 1 << (i % 8)
	}
}

func TestAFrameMayBeAsLongAsTheLimit(t *testing.T) {
	b := plain("12345678")
	if _, err := parse(&awsevents.Parser{Max: len(b)}, b, every(5)); err != nil {
		t.Error(err)
	}
	if _, err := parse(&awsevents.Parser{Max: len(b) - 1}, b, every(5)); !errors.Is(err, awsevents.ErrTooLong) {
		t.Errorf("got %v", err)
	}
}

func TestAnEmptyFrameIsAMessage(t *testing.T) {
	fs, err := parse(new(awsevents.Parser), awsevents.Append(nil, nil, nil), every(1))
	if err != nil || len(fs) != 1 || fs[0].headers != "" || fs[0].payload != "" {
		t.Errorf("got %+v, %v", fs, err)
	}
}

func TestEmitStopsTheParser(t *testing.T) {
	stop := errors.New("enough")
	n := 0
	err := new(awsevents.Parser).Feed(append(plain("a"), plain("b")...), true, func(*awsevents.Message) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("got %v after %d frames", err, n)
	}
}

func TestValuesOfHeaders(t *testing.T) {
	var h []byte
	for _, v := range []struct {
		name string
		v    awsevents.Value
	}{
		{"yes", awsevents.Value{Type: awsevents.True}},
		{"byte", awsevents.Value{Type: awsevents.Byte, Raw: []byte{0xff}}},
		{"short", awsevents.Value{Type: awsevents.Short, Raw: []byte{0xff, 0xfe}}},
		{"int", awsevents.Value{Type: awsevents.Int, Raw: []byte{0xff, 0xff, 0xff, 0xfd}}},
		{"long", awsevents.Value{Type: awsevents.Long, Raw: []byte{0, 0, 0, 1, 0, 0, 0, 0}}},
		{"bytes", awsevents.Value{Type: awsevents.Bytes, Raw: []byte("raw")}},
	} {
		h = awsevents.AppendHeader(h, v.name, v.v)
	}
	h = awsevents.AppendString(awsevents.AppendString(h, "name", "first"), "name", "last")
	want := map[string]int64{"byte": -1, "short": -2, "int": -3, "long": 1 << 32}
	err := new(awsevents.Parser).Feed(awsevents.Append(nil, h, nil), true, func(m *awsevents.Message) error {
		for n, v := range m.Headers() {
			i, ok := v.Int()
			if w, found := want[string(n)]; ok != found || i != w {
				t.Errorf("%s: got %d, %t", n, i, ok)
			}
		}
		if s := m.String("name"); string(s) != "last" {
			t.Errorf("name is %q", s)
		}
		if s := m.String("bytes"); s != nil {
			t.Errorf("bytes are the string %q", s)
		}
		if s := m.String("nothing"); s != nil {
			t.Errorf("nothing is %q", s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheOracleReadsWhatIsWritten has Amazon's decoder read our frames, and our parser read its encoder's.
func TestTheOracleReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ours, theirs []byte
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z:-]{1,20}`), 0, 6, rapid.ID[string]).Draw(t, "names")
		payload := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload")
		m := eventstream.Message{Payload: payload}
		var h []byte
		for _, n := range names {
			v, o := value(t)
			h = awsevents.AppendHeader(h, n, v)
			m.Headers.Set(n, o)
		}
		ours = awsevents.Append(nil, h, payload)
		var b bytes.Buffer
		if err := eventstream.NewEncoder().Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		theirs = b.Bytes()
		if !bytes.Equal(ours, theirs) {
			t.Fatalf("ours\n%x\ntheirs\n%x", ours, theirs)
		}
		got, err := eventstream.NewDecoder().Decode(bytes.NewReader(ours), nil)
		if err != nil || !bytes.Equal(got.Payload, payload) || len(got.Headers) != len(names) {
			t.Fatalf("%v, %+v", err, got)
		}
		fs, err := parse(new(awsevents.Parser), theirs, every(1+rapid.IntRange(0, 40).Draw(t, "cut")))
		if err != nil || len(fs) != 1 || fs[0].payload != string(payload) || fs[0].raw != string(theirs) {
			t.Fatalf("%v, %+v", err, fs)
		}
	})
}

func value(t *rapid.T) (awsevents.Value, eventstream.Value) {
	kind := awsevents.Type(rapid.IntRange(0, 9).Draw(t, "type"))
	n := rapid.Uint64().Draw(t, "n")
	b := binary.BigEndian.AppendUint64(nil, n)
	text := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "text")
	v := awsevents.Value{Type: kind}
	switch kind {
	case awsevents.True:
		return v, eventstream.BoolValue(true)
	case awsevents.False:
		return v, eventstream.BoolValue(false)
	case awsevents.Byte:
		v.Raw = b[7:]
		return v, eventstream.Int8Value(int8(n))
	case awsevents.Short:
		v.Raw = b[6:]
		return v, eventstream.Int16Value(int16(n))
	case awsevents.Int:
		v.Raw = b[4:]
		return v, eventstream.Int32Value(int32(n))
	case awsevents.Long:
		v.Raw = b
		return v, eventstream.Int64Value(int64(n))
	case awsevents.Bytes:
		v.Raw = text
		return v, eventstream.BytesValue(text)
	case awsevents.String:
		v.Raw = text
		return v, eventstream.StringValue(text)
	case awsevents.Timestamp:
		ms := int64(n % (1 << 40))
		v.Raw = binary.BigEndian.AppendUint64(nil, uint64(ms))
		return v, eventstream.TimestampValue(time.UnixMilli(ms))
	}
	v.Raw = append(bytes.Clone(b), b...)
	return v, eventstream.UUIDValue(v.Raw)
}

func TestRecordedStreamsAreReadAsTheOracleReadsThem(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	recorded.Each(t, func(x *recorded.Exchange) bool { return x.BodyKind == "eventstream-b64" }, func(t *testing.T, x *recorded.Exchange) {
		b, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		fs, err := parse(new(awsevents.Parser), b, whole)
		if err != nil || len(fs) == 0 {
			t.Fatalf("%d frames, %v", len(fs), err)
		}
		r, again := bytes.NewReader(b), []byte(nil)
		for i, f := range fs {
			m, err := eventstream.NewDecoder().Decode(r, nil)
			if err != nil || string(m.Payload) != f.payload {
				t.Fatalf("frame %d: %v", i, err)
			}
			again = append(again, f.raw...)
		}
		if _, err := eventstream.NewDecoder().Decode(r, nil); !errors.Is(err, io.EOF) || !bytes.Equal(again, b) {
			t.Errorf("bytes are left: %v", err)
		}
		for _, n := range []int{1, 2, 3, 7, 64} {
			cut, err := parse(new(awsevents.Parser), b, every(n))
			if err != nil || !slices.Equal(cut, fs) {
				t.Errorf("cut every %d bytes: %v %s", n, err, cmp.Diff(len(cut), len(fs)))
			}
		}
		if cut, err := parse(new(awsevents.Parser), b, func() int { return draw.IntN(200) + 1 }); err != nil || !slices.Equal(cut, fs) {
			t.Errorf("cut at random: %v", err)
		}
		at := 0
		for i, f := range fs[:len(fs)-1] {
			at += len(f.raw)
			if got, err := parse(new(awsevents.Parser), b[:at], whole); err != nil || len(got) != i+1 {
				t.Fatalf("cut behind frame %d: %d frames, %v", i, len(got), err)
			}
		}
	})
}

func TestWholeFramesAreNotCopied(t *testing.T) {
	b := plain("payload")
	err := new(awsevents.Parser).Feed(b, true, func(m *awsevents.Message) error {
		if &m.Raw[0] != &b[0] {
			t.Error("the frame was copied")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReadingAndWritingDoNotAllocate(t *testing.T) {
	h := awsevents.AppendString(nil, ":event-type", "chunk")
	b := slices.Concat(plain("one"), plain("two"))
	p, dst := new(awsevents.Parser), make([]byte, 0, 1024)
	sum := 0
	emit := func(m *awsevents.Message) error {
		sum += len(m.Payload) + len(m.String(":event-type"))
		return nil
	}
	if n := testing.AllocsPerRun(100, func() {
		_ = p.Feed(b[:40], false, emit)
		_ = p.Feed(b[40:], false, emit)
		dst = awsevents.Append(dst[:0], h, b[:20])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if sum == 0 || len(dst) == 0 {
		t.Error("nothing was done")
	}
}

func FuzzParser(f *testing.F) {
	f.Add(plain(`{"a":1}`), 3)
	f.Add(append(plain("x"), awsevents.Append(nil, nil, nil)...), 1)
	for _, c := range bad() {
		f.Add(c.b, 5)
	}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		fs, err := parse(&awsevents.Parser{Max: 1 << 16}, b, whole)
		cut, cutErr := parse(&awsevents.Parser{Max: 1 << 16}, b, every(max(1, n%97)))
		if !slices.Equal(fs, cut) || !errors.Is(cutErr, err) {
			t.Fatalf("%d frames and %v, cut %d and %v", len(fs), err, len(cut), cutErr)
		}
		var all string
		for _, x := range fs {
			all += x.raw
			m, err := eventstream.NewDecoder().Decode(bytes.NewReader([]byte(x.raw)), nil)
			if err != nil || string(m.Payload) != x.payload {
				t.Fatalf("the SDK does not read %x: %v", x.raw, err)
			}
		}
		if err == nil && all != string(b) {
			t.Fatal("bytes were lost")
		}
	})
}

func BenchmarkParser(b *testing.B) {
	one := plain(`{"contentBlockIndex":0,"delta":{"text":" a token or so"},"p":"abcdefghijklmnop"}`)
	p := new(awsevents.Parser)
	emit := func(*awsevents.Message) error { return nil }
	b.SetBytes(int64(len(one)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Feed(one, false, emit); err != nil {
			b.Fatal(err)
		}
	}
}
