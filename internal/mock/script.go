package mock

import (
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// script is what a model's name asks for.
type script struct {
	text     string // where the text comes from: fixed, echo, tokens, json, big, none, refuse
	size     int    // of tokens or big
	thoughts bool
	calls    int
	mixed    bool   // pieces of several calls interleaved
	stop     string // instead of the natural one
	noUsage  bool
	gzip     bool

	head, token, pace time.Duration // before the head, before the first token, between tokens

	fault string // what goes wrong, and
	at    int    // after how many chunks, or how large
	deny  *failure
	tried
}

// tried is what depends on how often the model was asked before.
type tried struct {
	first       uint64 // so many requests fail
	firstStatus int
	flaky       float64 // probability of failing
}

// fails returns the status with which the n-th request (from 0) for a model fails, or 0. The same seed fails
// the same ones.
func (t tried) fails(seed uint64, model string, n uint64) int {
	if n < t.first {
		return t.firstStatus
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(model))
	if rand.New(rand.NewPCG(seed, h.Sum64()+n)).Float64() < t.flaky {
		return 503
	}
	return 0
}

// memberError is an error of a request's member.
type memberError struct{ member, what string }

func (e *memberError) Error() string { return e.member + ": " + e.what }

// parse reads a model's name. A name with any part that is not in the table is one unknown model, which
// answers a fixed text; a known part with wrong arguments is an error.
func parse(model string) (*script, error) {
	name := model[strings.LastIndexByte(model, '/')+1:]
	parts := strings.Split(name, "+")
	sc := new(script)
	for _, part := range parts {
		if word, _, _ := strings.Cut(part, ":"); find(word) == nil {
			sc.text = "fixed"
			return sc, nil
		}
	}
	for _, part := range parts {
		args := strings.Split(part, ":")
		if err := find(args[0]).apply(sc, args[0], args[1:]); err != "" {
			return nil, &memberError{"model", part + ": " + err}
		}
	}
	switch {
	case sc.text != "":
	case sc.calls > 0:
		sc.text = "none"
	case sc.at > 0 && sc.fault != "bomb":
		sc.text, sc.size = "tokens", sc.at+5 // enough for the fault to be in the middle
	default:
		sc.text = "fixed"
	}
	return sc, nil
}

// The setters return what is wrong, or "".

func (sc *script) setText(source string, size int) string {
	if sc.text != "" {
		return "cannot be combined with " + sc.text
	}
	sc.text, sc.size = source, size
	return ""
}

func (sc *script) setFault(fault string, at int) string {
	if sc.fault != "" {
		return "cannot be combined with " + sc.fault
	}
	sc.fault, sc.at = fault, at
	return ""
}

func (sc *script) setDeny(f *failure) string {
	if err := sc.setFault("deny", 0); err != "" {
		return strings.Replace(err, "deny", "another error", 1)
	}
	sc.deny = f
	return ""
}

// none refuses arguments.
func none(args []string) string {
	if len(args) > 0 {
		return "takes no argument"
	}
	return ""
}

// number reads the one argument, from low to high. Without any it returns def, unless that is below low.
func number(args []string, def, low, high int) (int, string) {
	if len(args) == 0 && def >= low {
		return def, ""
	}
	if len(args) == 1 {
		if n, err := strconv.Atoi(args[0]); err == nil && n >= low && n <= high {
			return n, ""
		}
	}
	return 0, "needs one whole number from " + strconv.Itoa(low) + " to " + strconv.Itoa(high)
}

// span reads the one argument, a duration of at most an hour.
func span(args []string) (time.Duration, string) {
	if len(args) == 1 {
		if d, err := time.ParseDuration(args[0]); err == nil && d >= 0 && d <= time.Hour {
			return d, ""
		}
	}
	return 0, "needs one duration up to 1h, as 2s or 300ms"
}
