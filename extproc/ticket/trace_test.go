package ticket

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
)

func always() bool { return true }
func never() bool  { return false }

func TestParentsAreReadAsTheStandardSays(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		ok     bool
	}{
		"version 00":                     {"00-" + traceID + "-" + spanID + "-01", true},
		"not sampled":                    {"00-" + traceID + "-" + spanID + "-00", true},
		"unknown flags":                  {"00-" + traceID + "-" + spanID + "-ff", true},
		"a version to come":              {"01-" + traceID + "-" + spanID + "-01", true},
		"a version to come, longer":      {"cc-" + traceID + "-" + spanID + "-01-what-comes", true},
		"a version to come, glued":       {"cc-" + traceID + "-" + spanID + "-01.what", false},
		"version 00, longer":             {"00-" + traceID + "-" + spanID + "-01-more", false},
		"version ff":                     {"ff-" + traceID + "-" + spanID + "-01", false},
		"nothing":                        {"", false},
		"capitals":                       {"00-" + strings.ToUpper(traceID) + "-" + spanID + "-01", false},
		"a trace of zeros":               {"00-" + strings.Repeat("0", 32) + "-" + spanID + "-01", false},
		"a span of zeros":                {"00-" + traceID + "-" + strings.Repeat("0", 16) + "-01", false},
		"cut":                            {"00-" + traceID + "-" + spanID + "-0", false},
		"no hexadecimal digits":          {"00-" + strings.Repeat("g", 32) + "-" + spanID + "-01", false},
		"no hexadecimal digits in flags": {"00-" + traceID + "-" + spanID + "-zz", false},
		"other separators":               {"00_" + traceID + "_" + spanID + "_01", false},
	} {
		got := NewTrace(c.header, true, always)
		_, span, parent := got.IDs()
		if follows := got.ID() == traceID; follows != c.ok || (parent != nil) != c.ok {
			t.Errorf("%s: trace %s, parent %x", name, got.ID(), parent)
		}
		if hex.EncodeToString(span) == spanID {
			t.Errorf("%s: the exchange has its client's span", name)
		}
		if c.ok && hex.EncodeToString(parent) != spanID {
			t.Errorf("%s: parent %x, want %s", name, parent, spanID)
		}
	}
}

func TestWhoDecidesWhetherATraceIsKept(t *testing.T) {
	sampled, not := "00-"+traceID+"-"+spanID+"-01", "00-"+traceID+"-"+spanID+"-00"
	for name, c := range map[string]struct {
		header string
		follow bool
		own    func() bool
		want   bool
	}{
		"the client, that it is":        {sampled, true, never, true},
		"the client, that it is not":    {not, true, always, false},
		"we, though the client did":     {sampled, false, never, false},
		"we, though the client did not": {not, false, always, true},
		"we, where there is no parent":  {"", true, always, true},
		"we, of a new trace":            {"", true, never, false},
	} {
		if got := NewTrace(c.header, c.follow, c.own).Sampled(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTracesTravelInTickets(t *testing.T) {
	for _, header := range []string{"", "00-" + traceID + "-" + spanID + "-01"} {
		want := &Ticket{V: Version, ID: "12345678", Dialect: "openai-chat", Steps: []Leg{{Provider: "p", Model: "m"}}, Trace: NewTrace(header, true, always), Tags: map[string]string{"feature": "chat"}}
		held := want.Encode()
		got, err := Read(held)
		if err != nil {
			t.Fatal(err)
		}
		if got.Trace != want.Trace || got.Tags["feature"] != "chat" {
			t.Errorf("%+v, want %+v", got, want)
		}
		if a, b := want.Trace.Parent(1), want.Trace.Parent(2); a == b || a != got.Trace.Parent(1) || !strings.HasPrefix(a, "00-"+want.Trace.ID()+"-") || !strings.HasSuffix(a, "-01") {
			t.Errorf("attempts have %s and %s", a, b)
		}
	}
}

func TestTicketsOfUntracedExchangesAreNoLonger(t *testing.T) {
	held := (&Ticket{V: Version, ID: "12345678", Dialect: "openai-chat", Steps: []Leg{{Provider: "p", Model: "m"}}}).Encode()
	for _, name := range []string{"x", "g"} {
		if jsonx.Get([]byte(held), name) != nil {
			t.Errorf("%s has member %s", held, name)
		}
	}
	var none Trace
	if none.ID() != "" || none.Parent(1) != "" || none.Sampled() {
		t.Errorf("no trace has ids")
	}
}

func TestDamagedTracesAreRefused(t *testing.T) {
	for _, s := range []string{"x", traceID, strings.Repeat("g", ownDigits), strings.Repeat("0", ownDigits+1)} {
		held := (&Ticket{V: Version, ID: "12345678", Dialect: "openai-chat", Steps: []Leg{{Provider: "p", Model: "m"}}, Trace: Trace(s)}).Encode()
		if _, err := Read(held); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}
