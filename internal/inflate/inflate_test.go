package inflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// encoder is what all compressors have in common.
type encoder interface {
	io.WriteCloser
	Flush() error
}

// encoders by the coding that a test names; "raw" is deflate without zlib's header.
func newEncoder(t testing.TB, coding string, w io.Writer) encoder {
	t.Helper()
	switch coding {
	case "gzip", "x-gzip":
		return gzip.NewWriter(w)
	case "deflate":
		return zlib.NewWriter(w)
	case "raw":
		f, err := flate.NewWriter(w, flate.DefaultCompression)
		if err != nil {
			t.Fatal(err)
		}
		return f
	case "br":
		return brotli.NewWriter(w)
	case "zstd":
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	t.Fatalf("no encoder for %q", coding)
	return nil
}

// codings are all that one encoder makes.
var codings = []string{"gzip", "x-gzip", "deflate", "raw", "br", "zstd"}

func named(coding string) string {
	if coding == "raw" {
		return "deflate"
	}
	return coding
}

// deflated compresses with the codings in order.
func deflated(t testing.TB, data []byte, list ...string) []byte {
	t.Helper()
	for _, coding := range list {
		var b bytes.Buffer
		w := newEncoder(t, coding, &b)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		data = b.Bytes()
	}
	return data
}

// prose is n bytes that compress as an answer does.
func prose(n int) []byte {
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	words := strings.Fields(`the of a model answer stream token event data content delta choices index null role assistant finish_reason`)
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "data: {\"id\":%d,\"delta\":{\"content\":\"%s %s\"}}\n\n", rnd.IntN(1e6), words[rnd.IntN(len(words))], words[rnd.IntN(len(words))])
	}
	return b.Bytes()[:n]
}

// feed gives all of data to a new Reader in chunks whose sizes size tells, with eof at the last one.
func feed(t testing.TB, encoding string, limits Limits, data []byte, size func() int) ([]byte, error) {
	t.Helper()
	r, err := New(encoding, limits)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []byte
	for {
		n := min(size(), len(data))
		chunk := bytes.Clone(data[:n])
		data = data[n:]
		got, err := r.Feed(chunk, len(data) == 0)
		out = append(out, got...)
		clear(chunk) // a Reader that kept it would see
		if err != nil || len(data) == 0 {
			return out, err
		}
	}
}

func whole() int { return 1 << 40 }

func TestEveryCodingInflatesHoweverItIsCut(t *testing.T) {
	lists := [][]string{{"gzip", "br"}, {"br", "gzip"}, {"zstd", "deflate"}, {"gzip", "gzip", "zstd"}, {}}
	for _, c := range codings {
		lists = append(lists, []string{c})
	}
	for _, list := range lists {
		names := make([]string, len(list))
		for i, c := range list {
			names[i] = named(c)
		}
		t.Run(strings.Join(list, ","), func(t *testing.T) {
			for _, n := range []int{0, 1, 100, 70_000} {
				want := prose(n)
				data := deflated(t, want, list...)
				rnd := rand.New(rand.NewPCG(2, 3))
				for name, size := range map[string]func() int{
					"whole": whole, "1": func() int { return 1 }, "7": func() int { return 7 }, "64": func() int { return 64 },
					"random": func() int { return rnd.IntN(3000) },
				} {
					got, err := feed(t, strings.Join(names, ", "), Limits{}, data, size)
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%d bytes, cut %s: got %d bytes, %v", n, name, len(got), err)
					}
				}
			}
		})
	}
}

func TestContentEncodingValues(t *testing.T) {
	for _, tt := range []struct{ name, in, want, fault string }{
		{"one", "gzip", "gzip", ""},
		{"case does not count", "GZip", "gzip", ""},
		{"x-gzip is gzip", "x-gzip", "gzip", ""},
		{"a list with spaces", " br ,\tzstd", "br zstd", ""},
		{"empty members and identity are nothing", ",identity,, deflate", "deflate", ""},
		{"nothing", "", "", ""},
		{"unknown", "compress", "", `"compress" is not known`},
		{"unknown in a list", "gzip, aes128gcm", "", `"aes128gcm" is not known`},
		{"parameters are unknown", "gzip;q=1", "", "is not known"},
		{"a long one is cut", strings.Repeat("x", 500), "", `"` + strings.Repeat("x", 32) + `" is not known`},
		{"too many", "gzip,gzip,gzip,gzip", "", "limit of 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := New(tt.in, Limits{})
			if tt.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Fatalf("got %v, want %q", err, tt.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got := strings.Join(r.codings, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAFlushedBlockComesOutOfItsFeed(t *testing.T) {
	for _, list := range [][]string{{"gzip"}, {"deflate"}, {"raw"}, {"br"}, {"zstd"}, {"gzip", "br"}, {"br", "zstd"}} {
		t.Run(strings.Join(list, ","), func(t *testing.T) {
			var b bytes.Buffer
			var names []string
			var stack []encoder // the outermost coding first
			var w io.Writer = &b
			for _, l := range slices.Backward(list) {
				e := newEncoder(t, l, w)
				stack, names, w = append(stack, e), append([]string{named(l)}, names...), e
			}
			r, err := New(strings.Join(names, ","), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for i := range 50 {
				event := fmt.Sprintf("data: {\"i\":%d}\n\n", i)
				if _, err := io.WriteString(w, event); err != nil {
					t.Fatal(err)
				}
				for _, s := range slices.Backward(stack) {
					if err := s.Flush(); err != nil {
						t.Fatal(err)
					}
				}
				got, err := r.Feed(b.Bytes(), false)
				if err != nil || string(got) != event {
					t.Fatalf("event %d: got %q, %v", i, got, err)
				}
				b.Reset()
			}
		})
	}
}

func TestTheLastBlockDoesNotWaitForItsChecksum(t *testing.T) {
	want := prose(3000)
	for coding, tail := range map[string]int{"gzip": 8, "deflate": 4} {
		data := deflated(t, want, coding)
		r, err := New(coding, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Feed(data[:len(data)-tail], false)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, %v", coding, len(got), err)
		}
		if got, err := r.Feed(data[len(data)-tail:], true); err != nil || len(got) != 0 {
			t.Errorf("%s: the checksum gave %q, %v", coding, got, err)
		}
		r.Close()
	}
}

func TestCutsDoNotChangeTheResult(t *testing.T) {
	inputs := map[string][]byte{}
	for _, c := range codings {
		inputs[c] = deflated(t, prose(20_000), c)
	}
	rapid.Check(t, func(rt *rapid.T) {
		coding := rapid.SampledFrom(codings).Draw(rt, "coding")
		data := bytes.Clone(inputs[coding])
		switch rapid.IntRange(0, 3).Draw(rt, "damage") {
		case 1:
			data[rapid.IntRange(0, len(data)-1).Draw(rt, "at")] ^= byte(rapid.IntRange(1, 255).Draw(rt, "xor"))
		case 2:
			data = data[:rapid.IntRange(0, len(data)-1).Draw(rt, "length")]
		case 3:
			data = append(data, rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(rt, "more")...)
		}
		sizes := rapid.SliceOfN(rapid.IntRange(0, 5000), 1, 20).Draw(rt, "sizes")
		sizes = append(sizes, 300)
		i := 0
		got, gotErr := feed(t, named(coding), Limits{}, data, func() int { i++; return sizes[i%len(sizes)] })
		want, wantErr := feed(t, named(coding), Limits{}, data, whole)
		if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
			rt.Fatalf("got %v, whole %v", gotErr, wantErr)
		}
		if wantErr == nil && !bytes.Equal(got, want) {
			rt.Fatalf("got %d bytes, whole %d", len(got), len(want))
		}
		if !bytes.HasPrefix(got, want) && !bytes.HasPrefix(want, got) {
			rt.Fatalf("%d and %d bytes differ", len(got), len(want))
		}
	})
}

func TestNoCoroutineIsLeftBehind(t *testing.T) {
	data := deflated(t, prose(50_000), "gzip", "zstd")
	before := runtime.NumGoroutine()
	half := func(then func(r *Reader)) {
		r, err := New("gzip,zstd", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Feed(data[:len(data)/2], false); err != nil {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		if n := runtime.NumGoroutine(); n <= before {
			t.Fatalf("%d goroutines while reading, %d before: the count shows nothing", n, before)
		}
		then(r)
		if n := runtime.NumGoroutine(); n != before {
			t.Fatalf("%d goroutines are left, %d before", n, before)
		}
	}
	for range 20 {
		half(func(r *Reader) { r.Close(); r.Close() })
		half(func(r *Reader) {
			if _, err := r.Feed(data[len(data)/2:], true); err != nil {
				t.Fatal(err)
			}
		})
		half(func(r *Reader) {
			if _, err := r.Feed([]byte("garbage"), true); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v", err)
			}
		})
	}
	r, err := New("br", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := r.Feed(data, false); !errors.Is(err, ErrClosed) {
		t.Errorf("fed after Close: got %v", err)
	}
}

// The brotli library takes a stream whose last symbol is split for one with bytes left over.
func TestBrotliCutWithinItsLastBytes(t *testing.T) {
	for n := 1; n < 200_000; n = n*3/2 + 1 {
		want := prose(n)
		data := deflated(t, want, "br")
		for back := range min(9, len(data)) {
			first := len(data) - back
			got, err := feed(t, "br", Limits{}, data, func() int { defer func() { first = 1 }(); return first })
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, cut %d before the end: got %d bytes, %v", n, back, len(got), err)
			}
			first = len(data) - back
			_, err = feed(t, "br", Limits{}, append(bytes.Clone(data), 3), func() int { defer func() { first = 1 }(); return first })
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%d bytes and one more, cut %d before the end: got %v", n, back, err)
			}
		}
	}
}
