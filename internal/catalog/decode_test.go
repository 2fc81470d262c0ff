package catalog

import "testing"

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
