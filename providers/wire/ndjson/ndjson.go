// Package ndjson reads streams of JSON values, one on a line (https://github.com/ndjson/ndjson-spec), from bytes that
// are cut anywhere. It knows nothing of the values, and does not check them.
package ndjson

import (
	"bytes"
	"errors"
)

// ErrTooLong is the error of a line over Parser.Max.
var ErrTooLong = errors.New("ndjson: a line is too long")

// Parser parses one stream. The zero value has no limit.
type Parser struct {
	Max  int // of a line, in bytes; 0: no limit
	held []byte
}

// Feed takes the next bytes; eof says that no more follow. line is called for each line that is not blank, without
// its end; partial says that the stream ended before the line did. The bytes are valid until line returns. An error
// is one of line's, or ErrTooLong.
func (p *Parser) Feed(chunk []byte, eof bool, line func(b []byte, partial bool) error) error {
	for {
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			break
		}
		b := chunk[:i]
		chunk = chunk[i+1:]
		if len(p.held) > 0 {
			p.held = append(p.held, b...)
			b = p.held
		}
		if p.Max > 0 && len(b) > p.Max {
			return ErrTooLong
		}
		err := emit(b, false, line)
		p.held = p.held[:0]
		if err != nil {
			return err
		}
	}
	if p.Max > 0 && len(p.held)+len(chunk) > p.Max {
		return ErrTooLong
	}
	p.held = append(p.held, chunk...)
	if !eof {
		return nil
	}
	b := p.held
	p.held = nil
	return emit(b, true, line)
}

func emit(b []byte, partial bool, line func([]byte, bool) error) error {
	if b = bytes.TrimSpace(b); len(b) == 0 {
		return nil
	}
	return line(b, partial)
}
