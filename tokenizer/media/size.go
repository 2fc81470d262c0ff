// Package media reads how large images are from their first bytes, and counts what they cost by the rules that
// vendors use. It decodes no picture and fetches nothing.
package media

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
)

// Look is how many bytes of an image are looked at.
const Look = 64 << 10

// Size is that of an image in pixels. The zero value is unknown.
type Size struct{ Width, Height int }

// Known reports whether the size is known.
func (s Size) Known() bool { return s.Width > 0 && s.Height > 0 }

// Decoded returns the first bytes of base64 data, as many as are looked at. What is no base64 has none.
func Decoded(data string) []byte {
	n := base64.StdEncoding.EncodedLen(Look)
	if len(data) > n {
		data = data[:n]
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(data)))
	n, _ = base64.StdEncoding.Decode(out, []byte(data))
	return out[:n]
}

// Measure returns the size of an image of type PNG, JPEG, GIF, WebP, BMP or AVIF by its first bytes.
func Measure(b []byte) Size {
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		if len(b) >= 24 {
			return size(binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:]))
		}
	case bytes.HasPrefix(b, []byte("GIF8")):
		if len(b) >= 10 {
			return size(uint32(binary.LittleEndian.Uint16(b[6:])), uint32(binary.LittleEndian.Uint16(b[8:])))
		}
	case bytes.HasPrefix(b, []byte("BM")):
		if len(b) >= 26 {
			return size(binary.LittleEndian.Uint32(b[18:]), binary.LittleEndian.Uint32(b[22:]))
		}
	case bytes.HasPrefix(b, []byte("RIFF")) && len(b) >= 16 && string(b[8:12]) == "WEBP":
		return webp(b[12:])
	case bytes.HasPrefix(b, []byte{0xff, 0xd8}):
		return jfif(b)
	case len(b) >= 12 && string(b[4:8]) == "ftyp":
		return avif(b)
	}
	return Size{}
}

// size makes a Size of what a header says; what no image has is unknown.
func size(w, h uint32) Size {
	const most = 1 << 20
	if w == 0 || h == 0 || w > most || h > most {
		return Size{}
	}
	return Size{int(w), int(h)}
}

// webp reads the first chunk behind the container's head (RFC 9649).
func webp(b []byte) Size {
	u24 := func(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }
	switch kind := string(b[:4]); {
	case kind == "VP8X" && len(b) >= 18:
		return size(u24(b[12:])+1, u24(b[15:])+1)
	case kind == "VP8L" && len(b) >= 13:
		bits := binary.LittleEndian.Uint32(b[9:])
		return size(bits&0x3fff+1, bits>>14&0x3fff+1)
	case kind == "VP8 " && len(b) >= 18:
		return size(uint32(binary.LittleEndian.Uint16(b[14:]))&0x3fff, uint32(binary.LittleEndian.Uint16(b[16:]))&0x3fff)
	}
	return Size{}
}

// jfif walks the segments up to the first start of a frame (ITU T.81, B.2.2).
func jfif(b []byte) Size {
	for i := 2; i+9 < len(b); {
		if b[i] != 0xff {
			return Size{}
		}
		m := b[i+1]
		switch {
		case m == 0xff: // padding
			i++
			continue
		case m >= 0xd0 && m <= 0xd9 || m == 0x01: // no length
			i += 2
			continue
		case m >= 0xc0 && m <= 0xcf && m != 0xc4 && m != 0xc8 && m != 0xcc:
			return size(uint32(binary.BigEndian.Uint16(b[i+7:])), uint32(binary.BigEndian.Uint16(b[i+5:])))
		case m == 0xda: // the picture begins
			return Size{}
		}
		i += 2 + int(binary.BigEndian.Uint16(b[i+2:]))
	}
	return Size{}
}

// avif takes the largest extent that an item has (ISO/IEC 23008-12, 6.5.3): a thumbnail is smaller.
func avif(b []byte) Size {
	var best Size
	for rest := b; ; {
		at := bytes.Index(rest, []byte("ispe"))
		if at < 0 || len(rest) < at+16 {
			return best
		}
		s := size(binary.BigEndian.Uint32(rest[at+8:]), binary.BigEndian.Uint32(rest[at+12:]))
		if s.Width*s.Height > best.Width*best.Height {
			best = s
		}
		rest = rest[at+16:]
	}
}
