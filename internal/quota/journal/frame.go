package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// A frame is the length of a line (4 bytes, little-endian), its CRC-32C (4 bytes), and the line: its kind and fields,
// numbers as varints, texts behind their lengths.
const header = 8

// longest is the largest line: a broken length must not ask for memory.
const longest = 1 << 20

// kind is what a line says.
type kind byte

const (
	lineBudget   kind = 'B' // number, budget: what later lines of the segment mean by the number
	lineReserved kind = 'R' // organization, id, born, hold, claims, note
	lineUsed     kind = 'U' // organization, id, born, void, claims, note
	lineSettled  kind = 'A' // organization, id: the store knows
	lineWritten  kind = 'L' // organization, id: the ledger has it
)

// line is a line of the journal, decoded.
type line struct {
	kind         kind
	organization string
	id           string
	born         time.Time
	hold         time.Duration
	void         bool
	claims       []quota.Claim
	note         []byte
}

var errTorn = errors.New("the journal's line is cut off or broken")

// sum is the CRC-32C of a line.
func sum(body []byte) uint32 { return crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) }

// frame appends a line with its header.
func frame(dst, body []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint32(dst, sum(body))
	return append(dst, body...)
}

// next cuts the first line from b. n is the length of its frame.
func next(b []byte) (body []byte, n int, err error) {
	if len(b) < header {
		return nil, 0, errTorn
	}
	size := int(binary.LittleEndian.Uint32(b))
	if size == 0 || size > longest || len(b)-header < size {
		return nil, 0, errTorn
	}
	body = b[header : header+size]
	if sum(body) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, 0, errTorn
	}
	return body, header + size, nil
}

func text(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// define writes a budget's definition: all that a store needs to settle by it.
func define(number int, b *quota.Budget) []byte {
	dst := binary.AppendUvarint([]byte{byte(lineBudget)}, uint64(number))
	dst = text(dst, b.ID)
	dst = append(dst, byte(b.Unit), byte(b.Window.Kind))
	dst = binary.AppendVarint(dst, b.Limit)
	dst = binary.AppendVarint(dst, int64(b.Window.Length))
	dst = binary.AppendVarint(dst, b.Window.Burst)
	zone := ""
	if b.Window.Zone != nil {
		zone = b.Window.Zone.String()
	}
	return text(dst, zone)
}

// seal writes the header of a frame, for which room was left.
func seal(f []byte) {
	binary.LittleEndian.PutUint32(f, uint32(len(f)-header))
	binary.LittleEndian.PutUint32(f[4:], sum(f[header:]))
}

// encode appends a line. number gives the numbers of its budgets.
func (l *line) encode(dst []byte, number func(*quota.Budget) int) []byte {
	dst = text(text(append(dst, byte(l.kind)), l.organization), l.id)
	if l.kind != lineReserved && l.kind != lineUsed {
		return dst
	}
	dst = binary.AppendVarint(dst, l.born.UnixMilli())
	if l.kind == lineReserved {
		dst = binary.AppendVarint(dst, l.hold.Milliseconds())
	} else {
		void := byte(0)
		if l.void {
			void = 1
		}
		dst = append(dst, void)
	}
	dst = binary.AppendUvarint(dst, uint64(len(l.claims)))
	for i := range l.claims {
		dst = binary.AppendUvarint(dst, uint64(number(l.claims[i].Budget)))
		dst = binary.AppendVarint(dst, l.claims[i].Amount)
	}
	return append(binary.AppendUvarint(dst, uint64(len(l.note))), l.note...)
}

// reader reads fields; after the first that is not there, bad is set and all others are zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// decode reads a line. budgets are those that the segment has defined so far; a definition is added to them, and
// then the line is nil.
func decode(body []byte, budgets map[uint64]*quota.Budget) (*line, error) {
	r := &reader{b: body}
	l := &line{kind: kind(r.byte())}
	if l.kind == lineBudget {
		number, b := r.uint(), r.budget()
		if r.bad || b.Check() != nil {
			return nil, errTorn
		}
		budgets[number] = b
		return nil, nil
	}
	l.organization, l.id = r.text(), r.text()
	switch l.kind {
	case lineSettled, lineWritten:
	case lineReserved, lineUsed:
		l.born = time.UnixMilli(r.int())
		if l.kind == lineReserved {
			l.hold = time.Duration(r.int()) * time.Millisecond
		} else {
			l.void = r.byte() == 1
		}
		n := r.uint()
		for range min(n, 64) {
			c := quota.Claim{Budget: budgets[r.uint()], Amount: r.int()}
			if c.Budget == nil {
				r.bad = true
				break
			}
			l.claims = append(l.claims, c)
		}
		r.bad = r.bad || n > 64
		l.note = []byte(r.text())
	default:
		return nil, errTorn
	}
	if r.bad || len(r.b) > 0 || (&quota.Request{Organization: l.organization, ID: l.id}).CheckNames() != nil {
		return nil, errTorn
	}
	return l, nil
}

func (r *reader) budget() *quota.Budget {
	b := &quota.Budget{ID: r.text(), Unit: quota.Unit(r.byte())}
	b.Window.Kind = window.Kind(r.byte())
	b.Limit = r.int()
	b.Window.Length = time.Duration(r.int())
	b.Window.Burst = r.int()
	if zone := r.text(); zone != "" {
		z, err := time.LoadLocation(zone)
		if err != nil {
			z = time.UTC // the window's start is on record in the store; only a debit without a reservation would differ
		}
		b.Window.Zone = z
	}
	return b
}
