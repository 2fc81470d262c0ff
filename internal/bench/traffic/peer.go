package traffic

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
)

// peer is one end of an HTTP/1.1 connection that reads messages of the two forms that proxies send: with a
// length, or in chunks. It is written by hand so that it costs little beside what is measured.
type peer struct {
	net.Conn
	r     *bufio.Reader
	start []byte // the start line of the last message
	buf   []byte
	last  bool // the other side closes after this message
}

func newPeer(c net.Conn) *peer {
	return &peer{Conn: c, r: bufio.NewReaderSize(c, 64<<10), buf: make([]byte, 64<<10)}
}

var (
	fieldLength     = []byte("content-length:")
	fieldEncoding   = []byte("transfer-encoding:")
	fieldConnection = []byte("connection:")
)

// next reads a message. Each piece of its body goes to see, which must not keep it.
func (p *peer) next(see func([]byte)) error {
	line, err := p.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	p.start = append(p.start[:0], bytes.TrimRight(line, "\r\n")...)
	length, chunked := 0, false
	p.last = false
	for {
		if line, err = p.r.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := field(line, fieldLength); ok {
			if length, err = strconv.Atoi(string(v)); err != nil {
				return fmt.Errorf("content-length: %w", err)
			}
		} else if v, ok := field(line, fieldEncoding); ok {
			chunked = bytes.EqualFold(v, []byte("chunked"))
		} else if v, ok := field(line, fieldConnection); ok {
			p.last = bytes.EqualFold(v, []byte("close"))
		}
	}
	if chunked {
		return p.chunks(see)
	}
	return p.pass(length, see)
}

func (p *peer) chunks(see func([]byte)) error {
	for {
		line, err := p.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 31)
		if err != nil {
			return fmt.Errorf("size of a chunk: %w", err)
		}
		if err := p.pass(int(n), see); err != nil {
			return err
		}
		if _, err := p.r.Discard(2); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}

func (p *peer) pass(n int, see func([]byte)) error {
	for n > 0 {
		m := min(n, len(p.buf))
		if _, err := io.ReadFull(p.r, p.buf[:m]); err != nil {
			return err
		}
		see(p.buf[:m])
		n -= m
	}
	return nil
}

// field returns the value of a header line if it has the name, which ends in a colon.
func field(line, name []byte) ([]byte, bool) {
	if len(line) <= len(name) || !bytes.EqualFold(line[:len(name)], name) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}
