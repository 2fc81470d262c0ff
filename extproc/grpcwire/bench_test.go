package grpcwire_test

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
)

// BenchmarkStreams opens streams, 64 at a time, each with two messages that are answered and an end, as the plan of
// a request is. The client's system calls are in the figure, and both sides share the processors.
func BenchmarkStreams(b *testing.B) {
	l, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
	if err != nil {
		b.Fatal(err)
	}
	r := dial(b, l, "unix:"+l.Addr().String(), grpcwire.Options{})
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	p := &peer{TB: b, Conn: c, Framer: http2.NewFramer(c, c)}
	p.enc = hpack.NewEncoder(&p.block)
	p.hello()
	go func() { _, _ = io.Copy(io.Discard, c) }()
	var out bytes.Buffer
	p.Framer = http2.NewFramer(&out, nil)
	head, body := framed("a header"), framed("done "+strings.Repeat("x", 1000))
	const batch = 64
	streams := 0
	b.ReportAllocs()
	for b.Loop() {
		due := r.closed.Load() + batch
		for range batch {
			id := uint32(2*streams + 1)
			p.open(id)
			_ = p.WriteData(id, false, head)
			_ = p.WriteData(id, true, body)
			streams++
		}
		if _, err := out.WriteTo(c); err != nil {
			b.Fatal(err)
		}
		for r.closed.Load() < due {
			runtime.Gosched()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(streams), "ns/stream")
}
