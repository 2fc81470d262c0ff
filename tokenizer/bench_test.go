package tokenizer_test

import (
	"os"
	"path/filepath"
	"testing"
)

// samples are texts of this repository.
func samples(tb testing.TB) map[string][]byte {
	tb.Helper()
	read := func(pattern string) (out []byte) {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			return nil
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				tb.Fatal(err)
			}
			out = append(out, text...)
		}
		return out
	}
	return map[string][]byte{
		"prose": read("../docs/*.md"), "code": read(filepath.Join("..", "internal", "*", "*.go")), "json": read("../docs/*.json"),
	}
}

func BenchmarkCount(b *testing.B) {
	for _, name := range []string{"o200k_base", "cl100k_base", "qwen2", "deepseek_v3", "tekken"} {
		e := open(b, name)
		for kind, p := range samples(b) {
			if len(p) == 0 {
				continue
			}
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.SetBytes(int64(len(p)))
				b.ReportAllocs()
				for b.Loop() {
					e.Count(p)
				}
			})
		}
	}
}

// BenchmarkStream is the time of one part of four bytes.
func BenchmarkStream(b *testing.B) {
	e := open(b, "o200k_base")
	for kind, p := range samples(b) {
		if len(p) == 0 {
			continue
		}
		b.Run(kind, func(b *testing.B) {
			s, i := e.Stream(), 0
			b.ReportAllocs()
			for b.Loop() {
				s.Add(p[i : i+4])
				if i += 4; i+4 > len(p) {
					i = 0
				}
			}
		})
	}
}
