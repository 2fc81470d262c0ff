package inflate

import (
	"bufio"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	maxCodings = 3
	// maxWindow is the largest zstd window that a content coding may ask for: RFC 9659 §3.
	maxWindow = 8 << 20
)

// parse reads a value of content-encoding: RFC 9110 §8.4. Empty members are nothing.
func parse(encoding string) ([]string, error) {
	var codings []string
	for member := range strings.SplitSeq(encoding, ",") {
		switch c := strings.ToLower(strings.Trim(member, " \t")); c {
		case "", "identity":
		case "x-gzip":
			codings = append(codings, "gzip")
		case "gzip", "deflate", "br", "zstd":
			codings = append(codings, c)
		default:
			return nil, fmt.Errorf("content-encoding: %s is not known; known are gzip, x-gzip, deflate, br, zstd and identity",
				strconv.Quote(c[:min(len(c), 32)]))
		}
	}
	if len(codings) > maxCodings {
		return nil, fmt.Errorf("content-encoding: %d codings on top of each other are more than the limit of %d", len(codings), maxCodings)
	}
	return codings, nil
}

// open makes the decoder of one coding. It reads nothing yet. free is called when the decoder is done with.
func open(coding string, src io.Reader) (layer io.Reader, free func(), err error) {
	nothing := func() {}
	switch coding {
	case "gzip":
		return &gzipReader{body: body{in: bufio.NewReaderSize(src, block)}}, nothing, nil
	case "deflate":
		return &deflateReader{body: body{in: bufio.NewReaderSize(src, block)}}, nothing, nil
	case "br":
		return &brotliReader{in: bufio.NewReaderSize(src, block)}, nothing, nil
	default:
		// One block at a time in the caller's goroutine: nothing is read ahead, and nothing runs on.
		d, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, fmt.Errorf("open a zstd decoder: %w", err)
		}
		return d, d.Close, nil
	}
}

// explain classes an error of a decoder.
func (m *meter) explain(err error) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return fmt.Errorf("%s: %w: a window of more than %d bytes", m.coding, ErrBomb, maxWindow)
	}
	return fmt.Errorf("%s: %w: %w", m.coding, ErrCorrupt, err)
}

// body is a deflate stream (RFC 1951) within its framing. in is an io.ByteReader, therefore the decoder
// takes no byte beyond the end of the stream.
type body struct {
	in   *bufio.Reader
	bits io.Reader
	open bool
}

// begin starts a new stream at the current byte. The window of the one before is used again: a stream of
// empty members must not cost an allocation each.
func (b *body) begin() error {
	b.open = true
	if b.bits == nil {
		b.bits = flate.NewReader(b.in)
		return nil
	}
	return b.bits.(flate.Resetter).Reset(b.in, nil)
}

// read reads decoded bytes and reports by open whether the stream goes on. Its end is no error.
func (b *body) read(p []byte) (int, error) {
	n, err := b.bits.Read(p)
	if err == io.EOF {
		b.open, err = false, nil
	}
	return n, err
}

// tail reads what follows the stream in its framing.
func (b *body) tail(p []byte) error {
	_, err := io.ReadFull(b.in, p)
	return cut(err)
}

// cut makes the end of input an error, where more must come.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
