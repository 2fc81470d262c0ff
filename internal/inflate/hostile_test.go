package inflate

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
)

func TestBombsStopAtTheLimits(t *testing.T) {
	zeros := make([]byte, 8<<20)
	small := Limits{Ratio: 100, Max: 4 << 20, Free: 64 << 10}
	for _, tt := range []struct {
		name   string
		list   []string
		data   []byte
		limits Limits
		at     func(wire int64) int64 // how much may come out; nil: it is no bomb
	}{
		{"gzip over the ratio", []string{"gzip"}, zeros, small, func(w int64) int64 { return 100 * ceil(w) }},
		{"deflate over the ratio", []string{"deflate"}, zeros, small, func(w int64) int64 { return 100 * ceil(w) }},
		{"brotli over the ratio", []string{"br"}, zeros, small, func(w int64) int64 { return 100 * ceil(w) }},
		{"zstd over the ratio", []string{"zstd"}, zeros, small, func(w int64) int64 { return 100 * ceil(w) }},
		{"doubly packed", []string{"gzip", "gzip"}, zeros, small, func(w int64) int64 { return 100 * ceil(w) }},
		{"over the maximum", []string{"gzip"}, prose(5 << 20), small, func(int64) int64 { return 4 << 20 }},
		{"plain over the maximum", nil, prose(5 << 20), small, func(int64) int64 { return 4 << 20 }},
		{"the free part has no ratio", []string{"zstd"}, zeros[:60<<10], Limits{Ratio: 1, Free: 64 << 10}, nil},
		{"exactly the maximum", []string{"gzip"}, prose(1 << 20), Limits{Max: 1 << 20}, nil},
		{"defaults let an answer pass", []string{"br"}, prose(2 << 20), Limits{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := deflated(t, tt.data, tt.list...)
			for _, size := range []int{1 << 40, 1000, 64} {
				got, err := feed(t, strings.Join(tt.list, ","), tt.limits, wire, func() int { return size })
				if !bytes.HasPrefix(tt.data, got) {
					t.Fatal("what came out is not what went in")
				}
				if tt.at == nil {
					if err != nil || len(got) != len(tt.data) {
						t.Errorf("cut %d: got %d of %d bytes, %v", size, len(got), len(tt.data), err)
					}
					continue
				}
				if !errors.Is(err, ErrBomb) || errors.Is(err, ErrCorrupt) {
					t.Fatalf("cut %d: got %v", size, err)
				}
				if limit := tt.at(int64(len(wire))); int64(len(got)) > limit {
					t.Errorf("cut %d: %d bytes came out of %d, the limit is %d", size, len(got), len(wire), limit)
				}
			}
		})
	}
}

func ceil(n int64) int64 { return (n + block - 1) / block * block }

// A layer that expands into something that shrinks to nothing makes work without output.
func TestALayerWithinIsMeteredToo(t *testing.T) {
	var members bytes.Buffer
	empty := deflated(t, nil, "gzip")
	for range 200_000 {
		members.Write(empty)
	}
	wire := deflated(t, members.Bytes(), "zstd")
	got, err := feed(t, "gzip,zstd", Limits{}, wire, whole)
	if !errors.Is(err, ErrBomb) || len(got) != 0 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestAZstdWindowOverEightMebibytesIsRefused(t *testing.T) {
	// A frame header that asks for a window of 2^27 bytes (RFC 8878 §3.1.1.1.2), and one whose single
	// segment says that it is 1 GiB.
	for name, head := range map[string][]byte{
		"window":  {0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3},
		"segment": {0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40},
	} {
		if _, err := feed(t, "zstd", Limits{}, append(head, 1, 0, 0), whole); !errors.Is(err, ErrBomb) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestEveryTruncationIsAnError(t *testing.T) {
	for _, list := range [][]string{{"gzip"}, {"deflate"}, {"raw"}, {"br"}, {"zstd"}, {"br", "zstd"}, {"zstd", "br"}, {"gzip", "gzip"}} {
		names := make([]string, len(list))
		for i, c := range list {
			names[i] = named(c)
		}
		data := deflated(t, prose(900), list...)
		for n := 1; n < len(data); n++ {
			if _, err := feed(t, strings.Join(names, ","), Limits{}, data[:n], whole); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v: %d of %d bytes: got %v", list, n, len(data), err)
			}
			if len(list) == 1 {
				_, err := feed(t, names[0], Limits{}, data[:n], func() int { return 5 })
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%v: %d of %d bytes in fives: got %v", list, n, len(data), err)
				}
			}
		}
	}
}

func TestGarbageIsCorrupt(t *testing.T) {
	text := []byte(`{"error":{"message":"this is not compressed at all"}}`)
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		for _, data := range [][]byte{text, bytes.Repeat([]byte{0xff}, 100), prose(9000)} {
			if _, err := feed(t, coding, Limits{}, data, whole); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %.20q: got %v", coding, data, err)
			}
		}
	}
}

func TestAWrongChecksumIsCorrupt(t *testing.T) {
	for _, coding := range []string{"gzip", "deflate", "zstd"} {
		data := deflated(t, prose(500), coding)
		at := len(data) - 1
		if coding == "gzip" {
			at = len(data) - 5 // the CRC; the last four bytes are the size
		}
		data[at] ^= 1
		if _, err := feed(t, coding, Limits{}, data, whole); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v", coding, err)
		}
	}
}

func TestWhatFollowsTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name, coding string
		more         []byte
		want         string // "" means corrupt
	}{
		{"a second gzip member", "gzip", deflated(t, []byte(" two"), "gzip"), "one two"},
		{"a second zstd frame", "zstd", deflated(t, []byte(" two"), "zstd"), "one two"},
		{"a skippable zstd frame", "zstd", []byte("\x50\x2a\x4d\x18\x03\x00\x00\x00abc"), "one"},
		{"text after gzip", "gzip", []byte("{}"), ""},
		{"more text after gzip", "gzip", []byte("{\"error\":\"this\"}"), ""},
		{"zeros after gzip", "gzip", make([]byte, 20), ""},
		{"half a gzip member", "gzip", deflated(t, []byte(" two"), "gzip")[:12], ""},
		{"text after zlib", "deflate", []byte("x"), ""},
		{"a second zlib stream", "deflate", deflated(t, []byte(" two"), "deflate"), ""},
		{"text after raw deflate", "raw", []byte("x"), ""},
		{"text after brotli", "br", []byte("x"), ""},
		{"text after zstd", "zstd", []byte("texts"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := append(deflated(t, []byte("one"), tt.coding), tt.more...)
			for _, size := range []int{1 << 40, 1} {
				got, err := feed(t, named(tt.coding), Limits{}, data, func() int { return size })
				if tt.want == "" {
					if !errors.Is(err, ErrCorrupt) {
						t.Errorf("cut %d: got %q, %v", size, got, err)
					}
				} else if err != nil || string(got) != tt.want {
					t.Errorf("cut %d: got %q, %v", size, got, err)
				}
			}
		})
	}
}

func TestGzipHeaders(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name, w.Comment, w.Extra = strings.Repeat("n", 2000), "a comment", bytes.Repeat([]byte("e"), 700)
	if _, err := w.Write([]byte("content")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	plain := deflated(t, []byte("content"), "gzip")
	with := func(flags byte, more ...byte) []byte {
		head := append([]byte(nil), plain[:10]...)
		head[3] |= flags
		return append(append(head, more...), plain[10:]...)
	}
	crc := headerCRC(with(flagHeaderCRC)[:10])
	for _, tt := range []struct {
		name string
		data []byte
		ok   bool
	}{
		{"name, comment and extra are skipped", b.Bytes(), true},
		{"a right header CRC", with(flagHeaderCRC, crc...), true},
		{"a wrong header CRC", with(flagHeaderCRC, crc[0]^1, crc[1]), false},
		{"a reserved flag", with(0x80), false},
		{"another method", append([]byte{0x1f, 0x8b, 7}, plain[3:]...), false},
	} {
		got, err := feed(t, "gzip", Limits{}, tt.data, func() int { return 3 })
		if tt.ok != (err == nil) || tt.ok && string(got) != "content" || !tt.ok && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %q, %v", tt.name, got, err)
		}
	}
}

func headerCRC(head []byte) []byte {
	sum := crc32.ChecksumIEEE(head)
	return []byte{byte(sum), byte(sum >> 8)}
}

func TestAnErrorStays(t *testing.T) {
	r, err := New("gzip", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, first := r.Feed([]byte("no gzip at all"), false)
	_, second := r.Feed(deflated(t, []byte("x"), "gzip"), true)
	if first == nil || fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("got %v, then %v", first, second)
	}
}

func TestFeedingAfterTheEnd(t *testing.T) {
	r, err := New("gzip", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := r.Feed(deflated(t, []byte("x"), "gzip"), true); err != nil || string(got) != "x" {
		t.Fatalf("got %q, %v", got, err)
	}
	if got, err := r.Feed(nil, true); err != nil || len(got) != 0 {
		t.Errorf("nothing more: got %q, %v", got, err)
	}
	if _, err := r.Feed([]byte("x"), true); !errors.Is(err, ErrClosed) {
		t.Errorf("more: got %v", err)
	}
}

func TestADecoderThatPanicsIsAnError(t *testing.T) {
	r := &Reader{limits: Limits{}.withDefaults()}
	r.in = []byte("x")
	r.run(func(struct{}) bool { panic("index out of range") })
	if !errors.Is(r.err, ErrCorrupt) || !strings.Contains(r.err.Error(), "index out of range") {
		t.Errorf("got %v", r.err)
	}
}

func FuzzReader(f *testing.F) {
	lists := []string{"gzip", "deflate", "br", "zstd", "gzip,br", "zstd,gzip", "identity"}
	for i, list := range [][]string{{"gzip"}, {"deflate"}, {"br"}, {"zstd"}, {"gzip", "br"}, {"zstd", "gzip"}, nil} {
		f.Add(byte(i), uint16(7), deflated(f, prose(300), list...))
		f.Add(byte(i), uint16(1), deflated(f, make([]byte, 100_000), list...))
	}
	f.Add(byte(1), uint16(3), deflated(f, prose(300), "raw"))
	limits := Limits{Max: 1 << 20, Free: 32 << 10}
	f.Fuzz(func(t *testing.T, which byte, size uint16, data []byte) {
		list := lists[int(which)%len(lists)]
		want, wantErr := feed(t, list, limits, data, whole)
		got, gotErr := feed(t, list, limits, data, func() int { return 1 + int(size) })
		if errors.Is(gotErr, ErrBomb) != errors.Is(wantErr, ErrBomb) || (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%s cut by %d: %v, whole: %v", list, size, gotErr, wantErr)
		}
		if wantErr != nil && !errors.Is(wantErr, ErrBomb) && !errors.Is(wantErr, ErrCorrupt) {
			t.Fatalf("%s: untyped: %v", list, wantErr)
		}
		if wantErr == nil && !bytes.Equal(got, want) || !bytes.HasPrefix(got, want) && !bytes.HasPrefix(want, got) {
			t.Fatalf("%s cut by %d: %d bytes, whole: %d", list, size, len(got), len(want))
		}
		if len(want) > 1<<20 || len(got) > 1<<20 {
			t.Fatalf("%s: %d and %d bytes", list, len(want), len(got))
		}
		if list == "gzip" && wantErr == nil && len(data) > 0 {
			if std, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
				if all, err := io.ReadAll(std); err == nil && !bytes.Equal(all, want) {
					t.Fatalf("the standard library reads %d bytes, not %d", len(all), len(want))
				}
			}
		}
	})
}
