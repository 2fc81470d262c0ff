package inflate

import (
	"encoding/binary"
	"errors"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"
)

// The framings of deflate are read here and not by compress/gzip and compress/zlib, since those hold the
// last bytes back until the checksum has come, and read the header in their constructor.

var (
	errHeader   = errors.New("invalid header")
	errChecksum = errors.New("invalid checksum")
	errTrailing = errors.New("bytes after the end")
)

// gzipReader reads gzip members one after the other: RFC 1952.
type gzipReader struct {
	body
	members int
	head    uint32 // CRC of the header
	sum     uint32
	size    uint32
	within  bool // a member
}

// Read reads decoded bytes.
func (g *gzipReader) Read(p []byte) (int, error) {
	for {
		switch {
		case !g.within:
			if err := g.header(); err != nil {
				return 0, err
			}
		case g.open:
			n, err := g.read(p)
			g.sum = crc32.Update(g.sum, crc32.IEEETable, p[:n])
			g.size += uint32(n)
			if n > 0 || err != nil {
				return n, err
			}
		default:
			var t [8]byte
			if err := g.tail(t[:]); err != nil {
				return 0, err
			}
			if binary.LittleEndian.Uint32(t[:]) != g.sum || binary.LittleEndian.Uint32(t[4:]) != g.size {
				return 0, errChecksum
			}
			g.within = false
		}
	}
}

// Flags of a gzip header.
const (
	flagHeaderCRC = 1 << 1
	flagExtra     = 1 << 2
	flagName      = 1 << 3
	flagComment   = 1 << 4
	flagReserved  = 0xe0
)

// header reads a member's header. io.EOF means that there is no further member.
func (g *gzipReader) header() error {
	g.head, g.sum, g.size = 0, 0, 0
	first, err := g.in.ReadByte()
	if err != nil {
		return err
	}
	h := [10]byte{first}
	if err := g.tail(h[1:]); err != nil {
		if g.members > 0 && first != 0x1f {
			return errTrailing
		}
		return err
	}
	flags := h[3]
	if h[0] != 0x1f || h[1] != 0x8b || h[2] != 8 || flags&flagReserved != 0 {
		if g.members > 0 {
			return errTrailing
		}
		return errHeader
	}
	g.head = crc32.ChecksumIEEE(h[:])
	if flags&flagExtra != 0 {
		if err := g.skipExtra(); err != nil {
			return err
		}
	}
	for _, f := range []byte{flagName, flagComment} {
		if flags&f != 0 {
			if err := g.skipText(); err != nil {
				return err
			}
		}
	}
	if flags&flagHeaderCRC != 0 {
		var c [2]byte
		if err := g.tail(c[:]); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(c[:]) != uint16(g.head) {
			return errChecksum
		}
	}
	g.members++
	g.within = true
	return g.begin()
}

// next reads one byte of the header.
func (g *gzipReader) next() (byte, error) {
	c, err := g.in.ReadByte()
	if err != nil {
		return 0, cut(err)
	}
	g.head = crc32.Update(g.head, crc32.IEEETable, []byte{c})
	return c, nil
}

func (g *gzipReader) skipExtra() error {
	low, err := g.next()
	if err != nil {
		return err
	}
	high, err := g.next()
	for n := int(high)<<8 | int(low); n > 0 && err == nil; n-- {
		_, err = g.next()
	}
	return err
}

func (g *gzipReader) skipText() error {
	for {
		if c, err := g.next(); err != nil || c == 0 {
			return err
		}
	}
}

// deflateReader reads what is called deflate: a zlib stream (RFC 1950), or the raw one that some senders
// take it for. A raw stream cannot begin as a zlib header does unless its first block is stored and has
// bits set in its padding, which no encoder does.
type deflateReader struct {
	body
	begun, zlib, done bool
	sum               hash.Hash32
}

// Read reads decoded bytes.
func (d *deflateReader) Read(p []byte) (int, error) {
	if !d.begun {
		if err := d.header(); err != nil {
			return 0, err
		}
	}
	for d.open {
		n, err := d.read(p)
		if d.zlib {
			_, _ = d.sum.Write(p[:n]) // never fails
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	if d.zlib && !d.done {
		var t [4]byte
		if err := d.tail(t[:]); err != nil {
			return 0, err
		}
		if binary.BigEndian.Uint32(t[:]) != d.sum.Sum32() {
			return 0, errChecksum
		}
	}
	d.done = true
	if _, err := d.in.ReadByte(); err != nil {
		return 0, err
	}
	return 0, errTrailing
}

func (d *deflateReader) header() error {
	h, err := d.in.Peek(2)
	if err != nil && (err != io.EOF || len(h) == 0) {
		return err
	}
	d.begun, d.sum = true, adler32.New()
	if len(h) == 2 && h[0]&0x0f == 8 && h[0]>>4 <= 7 && binary.BigEndian.Uint16(h)%31 == 0 {
		if h[1]&0x20 != 0 { // a preset dictionary, which HTTP has no way to name
			return errHeader
		}
		d.zlib = true
		if _, err := d.in.Discard(2); err != nil {
			return err
		}
	}
	return d.begin()
}
