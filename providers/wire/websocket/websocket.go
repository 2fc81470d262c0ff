// Package websocket reads the frames that a server sends (RFC 6455 §5), as bytes that arrive cut anywhere. It only
// listens: it answers nothing, and knows nothing of what messages mean.
package websocket

import "encoding/binary"

// Opcodes of RFC 6455 §11.8 that matter to a listener.
const (
	opContinue = 0x0
	opText     = 0x1
	opControl  = 0x8 // and above
)

// DefaultMax is the largest message in bytes that is kept where Parser.Max is 0.
const DefaultMax = 1 << 20

// Parser cuts a stream into messages. Only text messages are kept; longer ones than Max, and binary ones, are passed
// over. The zero value is ready.
type Parser struct {
	Max int // largest message; 0: DefaultMax

	head    []byte // an unfinished frame header
	left    uint64 // bytes of the frame at hand that have not come
	mask    [4]byte
	masked  bool
	at      int // position within the mask
	control bool
	final   bool
	text    bool // the message at hand is text
	drop    bool // it is not kept
	message []byte
	broken  bool
}

// Feed takes the next bytes and emits the text messages that they complete; a message is valid until emit returns.
// It reports whether the bytes are WebSocket frames that can be read: false, and for good, once they are
// compressed or no frames at all.
func (p *Parser) Feed(chunk []byte, emit func(message []byte)) bool {
	for len(chunk) > 0 && !p.broken {
		if p.left == 0 {
			chunk = p.header(chunk)
			if len(p.head) > 0 || p.broken {
				break
			}
			if p.left == 0 {
				p.ended(emit)
			}
			continue
		}
		n := int(min(p.left, uint64(len(chunk))))
		p.payload(chunk[:n])
		chunk = chunk[n:]
		if p.left -= uint64(n); p.left == 0 {
			p.ended(emit)
		}
	}
	return !p.broken
}

// header takes bytes of a frame's header and returns the rest. Once the header is whole, p.head is empty.
func (p *Parser) header(chunk []byte) []byte {
	for len(chunk) > 0 {
		p.head = append(p.head, chunk[0])
		chunk = chunk[1:]
		if len(p.head) < headerSize(p.head) {
			continue
		}
		p.begin()
		p.head = p.head[:0]
		return chunk
	}
	return chunk
}

// headerSize is the length of a frame's header, as far as its first bytes tell.
func headerSize(h []byte) int {
	if len(h) < 2 {
		return 2
	}
	n := 2
	switch h[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if h[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// begin reads a whole header.
func (p *Parser) begin() {
	h := p.head
	op := h[0] & 0x0f
	p.final, p.control, p.masked, p.at = h[0]&0x80 != 0, op >= opControl, h[1]&0x80 != 0, 0
	if h[0]&0x70 != 0 { // an extension: the payload is not what it seems
		p.broken = true
		return
	}
	rest := h[2:]
	switch p.left = uint64(h[1] & 0x7f); p.left {
	case 126:
		p.left, rest = uint64(binary.BigEndian.Uint16(rest)), rest[2:]
	case 127:
		p.left, rest = binary.BigEndian.Uint64(rest), rest[8:]
	}
	if p.masked {
		copy(p.mask[:], rest)
	}
	if p.left>>63 != 0 || p.control && (p.left > 125 || !p.final) {
		p.broken = true
		return
	}
	if !p.control && op != opContinue {
		p.text, p.drop, p.message = op == opText, op != opText, p.message[:0]
	}
}

func (p *Parser) payload(b []byte) {
	if p.control || p.drop {
		return
	}
	most := p.Max
	if most == 0 {
		most = DefaultMax
	}
	if len(p.message)+len(b) > most {
		p.drop, p.message = true, nil
		return
	}
	from := len(p.message)
	p.message = append(p.message, b...)
	if p.masked {
		for i := from; i < len(p.message); i++ {
			p.message[i] ^= p.mask[p.at&3]
			p.at++
		}
	}
}

// ended is called at the end of each frame.
func (p *Parser) ended(emit func([]byte)) {
	if p.control || !p.final {
		return
	}
	if p.text && !p.drop {
		emit(p.message)
	}
	p.text, p.drop, p.message = false, false, p.message[:0]
}
