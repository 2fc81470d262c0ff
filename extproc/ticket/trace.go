package ticket

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
)

// Trace is where an exchange stands in a trace, in the terms of W3C Trace Context
// (https://www.w3.org/TR/trace-context/): the trace, the exchange's own span, and the client's span above it.
//
// It is their hexadecimal digits: of the trace's id, of the span's, of the flags, and of the parent span's id where there
// is one. "": the exchange is not traced.
type Trace string

// Sizes of the parts of a Trace.
const (
	traceDigits = 32
	spanDigits  = 16
	ownDigits   = traceDigits + spanDigits + 2
)

// NewTrace makes a place in the trace of a traceparent header, or in a new trace where that is not valid. sampled says
// whether a new trace is kept; follow, whether the client's own word on it counts.
func NewTrace(traceparent string, follow bool, sampled func() bool) Trace {
	id, parent, flags, ok := parent(traceparent)
	var b [traceDigits/2 + spanDigits/2]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	var text [ownDigits + spanDigits]byte
	dst := hex.AppendEncode(text[:0], b[:])
	keep := flags&1 == 1
	if ok {
		copy(dst, id)
	}
	if !ok || !follow {
		keep = sampled()
	}
	if keep {
		dst = append(dst, "01"...)
	} else {
		dst = append(dst, "00"...)
	}
	if ok {
		dst = append(dst, parent...)
	}
	return Trace(dst)
}

// parent reads a traceparent. Of versions to come it reads what they share with version 00.
func parent(s string) (id, span string, flags byte, ok bool) {
	const size = 2 + 1 + traceDigits + 1 + spanDigits + 1 + 2
	if len(s) < size || s[2] != '-' || s[3+traceDigits] != '-' || s[4+traceDigits+spanDigits] != '-' {
		return "", "", 0, false
	}
	version, id, span := s[:2], s[3:3+traceDigits], s[4+traceDigits:4+traceDigits+spanDigits]
	f := s[size-2 : size]
	switch {
	case !digits(version) || version == "ff" || version == "00" && len(s) != size || len(s) > size && s[size] != '-':
		return "", "", 0, false
	case !digits(id) || !digits(span) || !digits(f) || zero(id) || zero(span):
		return "", "", 0, false
	}
	b, _ := hex.DecodeString(f)
	return id, span, b[0], true
}

// digits reports whether a text has hexadecimal digits in lower case only.
func digits(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func zero(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return false
		}
	}
	return true
}

// ID returns the id of the trace in hexadecimal; "": the exchange is not traced.
func (t Trace) ID() string {
	if t == "" {
		return ""
	}
	return string(t[:traceDigits])
}

// Sampled reports whether the trace is kept.
func (t Trace) Sampled() bool { return len(t) >= ownDigits && t[ownDigits-1] == '1' }

// Root reports whether the exchange begins a trace: its client is in none, or did not say so in a way that can be read.
func (t Trace) Root() bool { return len(t) == ownDigits }

// IDs returns the ids of the trace, of the exchange's span, and of the span above it, which is nil where the exchange
// is the root.
func (t Trace) IDs() (trace, span, parent []byte) {
	if t == "" {
		return nil, nil, nil
	}
	b, err := hex.DecodeString(string(t))
	if err != nil {
		return nil, nil, nil
	}
	const own = traceDigits/2 + spanDigits/2
	if len(b) > own+1 {
		parent = b[own+1:]
	}
	return b[:traceDigits/2], b[traceDigits/2 : own], parent
}

// Attempt returns the id of the span of attempt n, from 1. Any process makes the same of a ticket.
func (t Trace) Attempt(n int) []byte {
	_, span, _ := t.IDs()
	if span == nil {
		return nil
	}
	z := binary.BigEndian.Uint64(span) + uint64(n)*0x9e3779b97f4a7c15 // a step of SplitMix64, which is a bijection
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	if z ^= z >> 31; z == 0 {
		z = uint64(n)
	}
	return binary.BigEndian.AppendUint64(nil, z)
}

// Parent returns the traceparent of a request within the span of attempt n.
func (t Trace) Parent(n int) string {
	if t == "" {
		return ""
	}
	return "00-" + t.ID() + "-" + hex.EncodeToString(t.Attempt(n)) + "-" + string(t[ownDigits-2:ownDigits])
}

// valid reports whether a text that came from elsewhere is a Trace.
func (t Trace) valid() bool {
	n := len(t)
	return (n == 0 || n == ownDigits || n == ownDigits+spanDigits) && digits(string(t))
}
