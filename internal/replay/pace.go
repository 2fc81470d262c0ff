package replay

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Pace says how an answer is sent. The zero value sends the recorded answer, streams event by event.
type Pace struct {
	Chunk  string        // "whole", "event" or "bytes:N"; "": event for streams, else whole
	Delay  time.Duration // between chunks
	Cut    int           // close the connection after so many bytes of the body; 0: do not
	Status int           // instead of the recorded one; an error status replaces a good answer's body; 0: as recorded
	Fault  string        // "reset", "stall" (both after Cut bytes; reset without Cut: before the head) or "empty"
}

// settings of a Pace: the name in a model's suffix, and behind "x-replay-" in headers and the query.
var settings = [...]struct{ suffix, header string }{
	{"chunk", "chunk"}, {"delay", "delay-ms"}, {"cut", "cut"}, {"status", "status"}, {"fault", "fault"},
}

// maxDelay bounds the pause between chunks.
const maxDelay = time.Hour

// set changes one setting, by its name in a model's suffix.
func (p *Pace) set(name, value string) error {
	number := func(low, high int) (int, error) {
		n, err := strconv.Atoi(value)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("%s: %q is no whole number from %d to %d", name, value, low, high)
		}
		return n, nil
	}
	var err error
	switch name {
	case "chunk":
		p.Chunk = value
		_, err = p.size()
	case "delay", "delay-ms":
		var ms int
		ms, err = number(0, int(maxDelay/time.Millisecond))
		p.Delay = time.Duration(ms) * time.Millisecond
	case "cut":
		p.Cut, err = number(1, 1<<30)
	case "status":
		p.Status, err = number(200, 599)
	case "fault":
		p.Fault = value
		if value != "reset" && value != "stall" && value != "empty" {
			err = fmt.Errorf("fault: %q is not reset, stall or empty", value)
		}
	default:
		err = fmt.Errorf("%s: no such setting; use chunk, delay, cut, status or fault", name)
	}
	return err
}

// size returns N of "bytes:N", else 0.
func (p *Pace) size() (int, error) {
	switch p.Chunk {
	case "", "whole", "event":
		return 0, nil
	}
	if s, ok := strings.CutPrefix(p.Chunk, "bytes:"); ok {
		if n, err := strconv.Atoi(s); err == nil && n > 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("chunk: %q is not whole, event or bytes:N", p.Chunk)
}

// suffix applies the settings behind a model's first semicolon, as "chunk=event;delay=5".
func (p *Pace) suffix(s string) error {
	for part := range strings.SplitSeq(s, ";") {
		if part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return fmt.Errorf("%s: the setting has no value", part)
		}
		if err := p.set(name, value); err != nil {
			return err
		}
	}
	return nil
}

// request applies the query's settings, then the headers', which win.
func (p *Pace) request(r *http.Request) error {
	query := r.URL.Query()
	for _, s := range settings {
		for _, value := range []string{query.Get("x-replay-" + s.header), r.Header.Get("x-replay-" + s.header)} {
			if value == "" {
				continue
			}
			if err := p.set(s.suffix, value); err != nil {
				return fmt.Errorf("x-replay-%w", err)
			}
		}
	}
	return nil
}
