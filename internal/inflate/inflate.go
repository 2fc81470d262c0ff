// Package inflate decompresses answers that come compressed although identity was asked, chunk by chunk,
// under caps that keep a bomb from becoming memory.
//
//	chunk → Feed → [gzip | deflate | br | zstd, the last coding first] → what could be inflated so far
//
// It does not compress, reads no headers but the value of content-encoding, and holds nothing back: what
// the sender flushed (deflate: a sync or full flush) comes out of the Feed that completed it.
package inflate

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

// Errors of Feed; those returned wrap them. A stream that ends too early is ErrCorrupt and
// io.ErrUnexpectedEOF at once.
var (
	ErrBomb    = errors.New("the data inflates beyond its limits")
	ErrCorrupt = errors.New("the compressed data is corrupt")
	ErrClosed  = errors.New("inflate: fed after the end")
)

// Limits caps what a stream may become. A field that is not positive takes its default.
type Limits struct {
	Ratio int64 // decoded bytes per byte on the wire, 100
	Max   int64 // decoded bytes of the whole stream, 64 MiB
	Free  int64 // decoded bytes below which the ratio is not looked at, 1 MiB
}

func (l Limits) withDefaults() Limits {
	if l.Ratio <= 0 {
		l.Ratio = 100
	}
	if l.Max <= 0 {
		l.Max = 64 << 20
	}
	if l.Free <= 0 {
		l.Free = 1 << 20
	}
	return l
}

const (
	step = 32 << 10  // decoded bytes per read of a decoder
	keep = 256 << 10 // the largest output buffer that is kept for the next Feed
)

// Reader inflates one stream. The decoders pull, so they run in a coroutine that Feed resumes and that
// stops where it wants more input: nothing runs between two calls. A Reader is used by one goroutine at a
// time, and Close must be called in the end.
type Reader struct {
	codings []string
	limits  Limits

	next func() (struct{}, bool) // resumes the coroutine until it wants more input
	stop func()

	in    []byte // what is left of the chunk
	last  bool   // no chunk follows
	wire  int64  // bytes taken from chunks
	out   []byte
	err   error // of Feed, for good
	fault error // the first error of any layer; a layer above may not hand it up as it is
}

// New makes a Reader for a value of content-encoding: gzip, x-gzip, deflate (with zlib's header, or raw as
// some senders have it), br, zstd, identity, or a list of these in the order in which they were applied.
func New(encoding string, limits Limits) (*Reader, error) {
	codings, err := parse(encoding)
	if err != nil {
		return nil, err
	}
	return &Reader{codings: codings, limits: limits.withDefaults()}, nil
}

// Feed takes the next bytes of the stream and returns what they inflate to, valid until the next call. It
// does not keep chunk. With eof the stream must be complete; a stream of no bytes at all is. Together with
// an error come the bytes before it, and every later call returns the same error. How chunks are cut changes
// neither the bytes nor whether there is an error, only how much comes before an error.
func (r *Reader) Feed(chunk []byte, eof bool) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.last {
		if len(chunk) == 0 {
			return nil, nil
		}
		return nil, ErrClosed
	}
	if cap(r.out) > keep {
		r.out = nil
	}
	r.out = r.out[:0]
	r.in, r.last = chunk, eof
	if len(chunk) > 0 || eof {
		if r.next == nil {
			r.next, r.stop = iter.Pull(r.run)
		}
		r.next()
		r.in = nil
	}
	return r.out, r.err
}

// Close frees the decoders, whatever their state. It may be called more than once.
func (r *Reader) Close() {
	if r.stop != nil {
		r.stop()
	}
	if r.err == nil {
		r.err = ErrClosed
	}
	r.next, r.stop, r.in, r.out = nil, nil, nil, nil
}

// run is the coroutine: it inflates until the end, an error, or Close.
func (r *Reader) run(yield func(struct{}) bool) {
	// A decoder that panics over hostile bytes costs this answer, not the gateway.
	defer func() {
		if p := recover(); p != nil {
			r.err = fmt.Errorf("%w: a decoder panicked: %v", ErrCorrupt, p)
		}
	}()
	var top io.Reader = &source{r: r, yield: yield}
	for _, v := range slices.Backward(r.codings) {
		layer, free, err := open(v, top)
		if err != nil {
			r.err = err
			return
		}
		defer free()
		top = &meter{r: r, coding: v, in: layer}
	}
	if len(r.codings) == 0 {
		top = &meter{r: r, coding: "identity", in: top}
	}
	buf := make([]byte, step)
	for idle := 0; idle < 100; idle++ {
		n, err := top.Read(buf)
		r.out = append(r.out, buf[:n]...)
		switch {
		case r.fault != nil:
			r.err = r.fault
			return
		case err != nil: // the end, since every other error is a fault
			return
		case n > 0:
			idle = 0
		}
	}
	r.err = fmt.Errorf("%w: no progress", ErrCorrupt)
}

// block is the unit in which the wire is read and counted. Reads end at its multiples and the ratio sees
// whole blocks, so that a verdict does not depend on how chunks are cut, whatever a decoder reads ahead.
const block = 4096

// source gives the decoders the bytes of the chunks and parks the coroutine when there are none.
type source struct {
	r     *Reader
	yield func(struct{}) bool
	shut  bool
}

// Read returns bytes of the current chunk, waiting for one if need be.
func (s *source) Read(p []byte) (int, error) {
	r := s.r
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.in) == 0 {
		if s.shut {
			return 0, ErrClosed
		}
		if r.last {
			return 0, io.EOF
		}
		s.shut = !s.yield(struct{}{})
	}
	n := copy(p[:min(int64(len(p)), block-r.wire%block)], r.in)
	r.in = r.in[n:]
	r.wire += int64(n)
	return n, nil
}

// meter counts what a layer makes, stops it at the limits, and notes its first error. It sits on every
// layer: one that expands must not feed one that shrinks without end.
type meter struct {
	r      *Reader
	coding string
	in     io.Reader
	total  int64
}

// Read reads from the layer below.
func (m *meter) Read(p []byte) (int, error) {
	r := m.r
	if r.fault != nil {
		return 0, r.fault
	}
	n, err := m.in.Read(p)
	seen := (r.wire + block - 1) / block * block
	limit := min(r.limits.Max, max(r.limits.Free, r.limits.Ratio*seen))
	if int64(n) > limit-m.total {
		n = int(limit - m.total)
		what := fmt.Sprintf("1 : %d", r.limits.Ratio)
		if limit == r.limits.Max {
			what = fmt.Sprintf("%d bytes", limit)
		}
		err = fmt.Errorf("%s: %w: more than %s", m.coding, ErrBomb, what)
	}
	m.total += int64(n)
	if err != nil && !errors.Is(err, io.EOF) && r.fault == nil {
		if !errors.Is(err, ErrBomb) && !errors.Is(err, ErrClosed) {
			err = m.explain(err)
		}
		r.fault = err
	}
	return n, err
}
