// Package awsevents reads and writes AWS event streams (application/vnd.amazon.eventstream) as bytes that
// arrive cut anywhere. It knows framing and nothing of what the messages mean.
//
//	bytes ─ Parser.Feed ─► Message (headers, payload, the frame's own bytes)
//
// A frame, all numbers big-endian (Amazon's "event stream encoding", as smithy.io's Amazon Event Stream
// Specification writes it down):
//
//	total length   4 │ headers length 4 │ CRC-32 of these 8 bytes     4
//	headers          │ payload          │ CRC-32 of everything before 4
//
// A header is a name (its length in one byte), a type in one byte, and a value.
package awsevents

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// ContentType is the media type of a stream of frames.
const ContentType = "application/vnd.amazon.eventstream"

// Sizes of a frame's parts.
const (
	preludeLen = 12
	crcLen     = 4
	overhead   = preludeLen + crcLen // of the smallest frame: no headers, no payload

	maxHeaders = 128 << 10 // the protocol's own limit

	// DefaultMax is the largest frame in bytes where Parser.Max is 0: the protocol's limit of a payload and its
	// headers.
	DefaultMax = 24<<20 + maxHeaders + overhead
)

// Errors of Feed, returned bare. None of them can be mended: after one, every Feed returns it again.
var (
	ErrPrelude  = errors.New("event-stream frame whose prelude fails its checksum")
	ErrChecksum = errors.New("event-stream frame that fails its checksum")
	ErrLength   = errors.New("event-stream frame whose lengths contradict each other")
	ErrTooLong  = errors.New("event-stream frame over the size limit")
	ErrHeaders  = errors.New("event-stream frame with malformed headers")
	ErrCut      = errors.New("event stream that ends within a frame")
)

// Message is one frame. It and its slices are valid until emit returns.
type Message struct {
	Payload []byte
	Raw     []byte // every byte of the frame
	headers []byte // well formed
}

// Parser cuts a stream into frames and checks both checksums of each. The result does not depend on how the
// bytes were cut. The zero value is ready; it serves one stream.
//
// A frame that arrives whole is read in place. Only an unfinished one is kept. Its lengths are checked as soon
// as they are there, so that no more is kept than Max.
type Parser struct {
	Max int // largest frame in bytes; 0: DefaultMax

	buf []byte // an unfinished frame
	msg Message
	err error // of an earlier Feed
}

// Feed takes the next bytes and emits the frames that they complete. eof says that no more follow. An error of
// emit ends the call and is returned bare, and so by every later one. Feed does not keep chunk.
func (p *Parser) Feed(chunk []byte, eof bool, emit func(*Message) error) error {
	if p.err == nil {
		p.err = p.feed(chunk, eof, emit)
	}
	return p.err
}

func (p *Parser) feed(chunk []byte, eof bool, emit func(*Message) error) error {
	for len(p.buf) > 0 && len(chunk) > 0 {
		n := p.missing(chunk)
		p.buf, chunk = append(p.buf, chunk[:n]...), chunk[n:]
		size, err := p.size(p.buf)
		if err != nil {
			return err
		}
		if size == 0 || len(p.buf) < size {
			continue
		}
		if err := p.frame(p.buf, emit); err != nil {
			return err
		}
		p.buf = p.buf[:0]
	}
	for len(chunk) > 0 {
		size, err := p.size(chunk)
		if err != nil {
			return err
		}
		if size == 0 || len(chunk) < size {
			p.buf = append(p.buf[:0], chunk...)
			break
		}
		if err := p.frame(chunk[:size], emit); err != nil {
			return err
		}
		chunk = chunk[size:]
	}
	if eof && len(p.buf) > 0 {
		return ErrCut
	}
	return nil
}

// missing is how much of chunk belongs to the unfinished frame, or to its prelude while that is unfinished.
func (p *Parser) missing(chunk []byte) int {
	want := preludeLen
	if len(p.buf) >= preludeLen {
		want = int(binary.BigEndian.Uint32(p.buf))
	}
	return min(want-len(p.buf), len(chunk))
}

// size returns the length of the frame that b begins with, or 0 where b does not hold its prelude.
func (p *Parser) size(b []byte) (int, error) {
	if len(b) < preludeLen {
		return 0, nil
	}
	if crc32.ChecksumIEEE(b[:8]) != binary.BigEndian.Uint32(b[8:]) {
		return 0, ErrPrelude
	}
	total, headers := uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:]))
	most := uint64(DefaultMax)
	if p.Max > 0 {
		most = uint64(p.Max)
	}
	switch {
	case total < overhead || headers > total-overhead:
		return 0, ErrLength
	case total > most || headers > maxHeaders:
		return 0, ErrTooLong
	}
	return int(total), nil
}

// frame emits a whole frame.
func (p *Parser) frame(b []byte, emit func(*Message) error) error {
	end := len(b) - crcLen
	if crc32.ChecksumIEEE(b[:end]) != binary.BigEndian.Uint32(b[end:]) {
		return ErrChecksum
	}
	body := preludeLen + int(binary.BigEndian.Uint32(b[4:]))
	p.msg = Message{Payload: b[body:end], Raw: b, headers: b[preludeLen:body]}
	if !wellFormed(p.msg.headers) {
		return ErrHeaders
	}
	return emit(&p.msg)
}

// Open appends the beginning of a frame with headers, which AppendString and AppendHeader make, and returns
// where it begins. The payload is appended behind it; Close ends the frame. So a payload is written where it
// is to stand.
func Open(dst, headers []byte) (b []byte, at int) {
	at = len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(headers)))
	return append(append(dst, 0, 0, 0, 0), headers...), at
}

// Close ends the frame that Open began at an offset: it fills in the lengths and checksums.
func Close(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at+crcLen))
	binary.BigEndian.PutUint32(b[at+8:], crc32.ChecksumIEEE(b[at:at+8]))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[at:]))
}

// Append appends a whole frame.
func Append(dst, headers, payload []byte) []byte {
	dst, at := Open(dst, headers)
	return Close(append(dst, payload...), at)
}
