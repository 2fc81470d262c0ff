// Package content keeps what was said in an exchange for its span, where the configuration asks for that: the request,
// and the answer where it is translated and so passes through the service. It keeps texts within bounds, and of images,
// recordings and files only what they are. It stores nothing; what it holds ends with the span.
package content

import (
	"bytes"
	"strings"
	"sync"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Bounds of what is kept of an exchange, in bytes.
const (
	MaxRequest = 256 << 10 // a longer request is not kept at all: cut, it could not be read
	MaxAnswer  = 64 << 10  // of texts and arguments; what goes beyond is left out
)

// Said is what was said in an exchange. A nil one keeps nothing.
type Said struct {
	in     dialect.Inbound
	server dialect.Server

	mu     sync.Mutex
	blocks map[[2]int]*block // by choice and index
	order  [][2]int
	stops  map[int]llm.StopReason
	size   int
	cut    bool
}

// block is a block of the answer.
type block struct {
	kind     llm.PartKind
	id, name string
	text     bytes.Buffer
}

// Keep begins with a copy of the request.
func Keep(server dialect.Server, in dialect.Inbound) *Said {
	s := &Said{in: in, server: server}
	if len(in.Body) > MaxRequest {
		s.in.Body, s.server = nil, nil
	} else {
		s.in.Body = bytes.Clone(in.Body)
	}
	s.Begin()
	return s
}

// Begin forgets the answer of an attempt before.
func (s *Said) Begin() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks, s.order, s.stops, s.size, s.cut = map[[2]int]*block{}, nil, map[int]llm.StopReason{}, 0, false
}

// Event takes an event of the answer.
func (s *Said) Event(ev *llm.Event) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch ev.Kind {
	case llm.EvBlockStarted:
		b := s.block(ev)
		b.id, b.name = bound(ev.ID), bound(ev.Name)
	case llm.EvDelta:
		text := ev.Text
		if room := MaxAnswer - s.size; len(text) > room {
			text, s.cut = text[:room], true
		}
		s.size += len(text)
		s.block(ev).text.Write(text)
	case llm.EvFinished:
		s.stops[ev.Choice] = ev.Stop.Reason
	}
}

const maxBlocks = 1024

// block finds the block that an event belongs to.
func (s *Said) block(ev *llm.Event) *block {
	at := [2]int{ev.Choice, ev.Index}
	b := s.blocks[at]
	if b == nil {
		b = &block{kind: ev.Part}
		if len(s.blocks) < maxBlocks {
			s.blocks[at] = b
			s.order = append(s.order, at)
		} else {
			s.cut = true
		}
	}
	return b
}

// bound keeps ids and names short, and valid: one that is cut within a character would leave the answer without JSON.
func bound(s string) string { return strings.ToValidUTF8(s[:min(len(s), 256)], "") }

// Size is how many bytes are held, roughly.
func (s *Said) Size() int {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.in.Body) + s.size
}
