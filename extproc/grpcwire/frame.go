package grpcwire

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/http2"
)

const (
	frameHeader   = 9
	messageHeader = 5       // compressed flag, length
	leastFrame    = 1 << 14 // every peer takes frames of this size (RFC 9113 §4.2)
	leastWindow   = 1<<16 - 1
	mostWindow    = 1<<31 - 1
)

// frame is the header of a frame.
type frame struct {
	length int
	kind   http2.FrameType
	flags  http2.Flags
	id     uint32
}

func parseFrame(b []byte) frame {
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   http2.FrameType(b[3]),
		flags:  http2.Flags(b[4]),
		id:     binary.BigEndian.Uint32(b[5:]) &^ (1 << 31),
	}
}

func appendFrame(dst []byte, length int, kind http2.FrameType, flags http2.Flags, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags)), id)
}

func appendWindowUpdate(dst []byte, id uint32, n int) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(dst, 4, http2.FrameWindowUpdate, 0, id), uint32(n))
}

func appendReset(dst []byte, id uint32, code http2.ErrCode) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(dst, 4, http2.FrameRSTStream, 0, id), uint32(code))
}

func appendGoAway(dst []byte, last uint32, code http2.ErrCode, why string) []byte {
	dst = appendFrame(dst, 8+len(why), http2.FrameGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	return append(binary.BigEndian.AppendUint32(dst, uint32(code)), why...)
}

func appendSetting(dst []byte, id http2.SettingID, v uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, uint16(id)), v)
}

// connError ends a connection with a GOAWAY.
type connError struct {
	code http2.ErrCode
	why  string
}

func (e connError) Error() string { return fmt.Sprintf("%s: %s", e.code, e.why) }

// streamError ends a stream with a RST_STREAM.
type streamError struct {
	id   uint32
	code http2.ErrCode
}

func (e streamError) Error() string { return fmt.Sprintf("stream %d: %s", e.id, e.code) }

// unpadded takes the padding off a frame's payload (RFC 9113 §6.1, §6.2).
func unpadded(f frame, b []byte) ([]byte, error) {
	if f.flags&http2.FlagDataPadded == 0 {
		return b, nil
	}
	if len(b) == 0 || int(b[0]) >= len(b) {
		return nil, connError{http2.ErrCodeProtocol, "more padding than payload"}
	}
	return b[1 : len(b)-int(b[0])], nil
}
