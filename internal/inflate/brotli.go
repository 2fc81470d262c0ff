package inflate

import (
	"bufio"
	"errors"

	"github.com/andybalholm/brotli"
)

// excessive is the text of the library's error for bytes after the end; the error is not exported.
const excessive = "brotli: excessive input"

var errAsked = errors.New("the decoder asked for more")

// brotliReader puts two things right in the library's Reader. A stream of no bytes is empty here, as with
// the other codings. And the library finds "excessive input" in a good stream whose last symbol came in two
// chunks: it counts bytes that it set aside and has since decoded. Such a decoder asks for more when it is
// read again, whereas one that has bytes left over does not.
type brotliReader struct {
	in    *bufio.Reader
	bits  *brotli.Reader
	ended bool
}

// Read reads decoded bytes.
func (b *brotliReader) Read(p []byte) (int, error) {
	if b.bits == nil {
		if _, err := b.in.Peek(1); err != nil {
			return 0, err
		}
		b.bits = brotli.NewReader(feeder{b})
	}
	if b.ended {
		if _, err := b.in.ReadByte(); err != nil {
			return 0, err
		}
		return 0, errTrailing
	}
	n, err := b.bits.Read(p)
	if err != nil && err.Error() == excessive {
		b.ended = true
		if _, err = b.bits.Read(nil); errors.Is(err, errAsked) {
			return n, nil
		}
		return n, errTrailing
	}
	return n, err
}

// feeder is what the library reads from.
type feeder struct{ b *brotliReader }

// Read hands on the input until the stream has ended.
func (f feeder) Read(p []byte) (int, error) {
	if f.b.ended {
		return 0, errAsked
	}
	return f.b.in.Read(p)
}
