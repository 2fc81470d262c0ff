package extproc

import (
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect/kept"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/usage"
)

// namespaceKept is where Envoy puts what is kept of an answer whose usage we read (envoy/usage.lua).
const namespaceKept = "signalbox.usage"

// namespaceUsage is where Envoy's own filter puts the token usage of an answer, and usageType what it is.
const (
	namespaceUsage = "envoy.ai.token_usage"
	usageType      = "envoy.data.ai.v3.TokenUsage"
)

// common is an entry's AccessLogCommon, as far as it is used. It aliases the message.
type common struct {
	began             time.Time
	sent, first, last time.Duration // upstream: first byte sent, first and last received
	wasSent, wasFirst bool
	down              time.Duration // first byte sent downstream
	took              time.Duration
	tries             int
	cluster, failure  []byte
	metadata          []byte
	flags             []byte
}

// Field numbers stand in Envoy's data/accesslog/v3/accesslog.proto.
func readCommon(m []byte) (c common) {
	for {
		f, rest, ok := next(m)
		if !ok {
			return c
		}
		switch f.number {
		case 5:
			c.began = timestamp(f.data)
		case 7:
			c.sent, c.wasSent = duration(f.data), true
		case 9:
			c.first, c.wasFirst = duration(f.data), true
		case 10:
			c.last = duration(f.data)
		case 11:
			c.down = duration(f.data)
		case 15:
			c.cluster = f.data
		case 16:
			c.flags = f.data
		case 17:
			c.metadata = f.data
		case 18:
			c.failure = f.data
		case 23:
			c.took = duration(f.data)
		case 24:
			c.tries = int(uint32(f.n))
		}
		m = rest
	}
}

// answered is an entry's HTTPResponseProperties, as far as it is used.
type answered struct {
	status  int
	sent    uint64
	details []byte
	header  exchange.Header
}

func readAnswered(m []byte) (a answered) {
	for {
		f, rest, ok := next(m)
		if !ok {
			return a
		}
		switch f.number {
		case 1:
			a.status = int(uint32(counted(f.data)))
		case 3:
			a.sent = f.n
		case 4:
			a.header = append(a.header, providers.Header{Name: string(find(f.data, 1)), Value: string(find(f.data, 2))})
		case 6:
			a.details = f.data
		}
		m = rest
	}
}

// attemptEntry reads the HTTPAccessLogEntry of an attempt.
func attemptEntry(m []byte) exchange.AttemptEntry {
	c, a := readCommon(find(m, 1)), readAnswered(find(m, 4))
	end, why := ending(c.flags)
	return exchange.AttemptEntry{
		Began:   c.began,
		ID:      string(entry(find(m, 3), 13, "x-request-id")),
		Cluster: string(c.cluster),
		Status:  a.status,
		Ending:  end,
		Why:     join(why, string(c.failure)),
		Took:    c.took,
		First:   c.first,
		Header:  a.header,
	}
}

// outcome reads the HTTPAccessLogEntry of a request.
func outcome(m []byte) exchange.Outcome {
	c, a := readCommon(find(m, 1)), readAnswered(find(m, 4))
	end, why := ending(c.flags)
	o := exchange.Outcome{
		Ticket: string(heldTicket(c.metadata)),
		Began:  c.began,
		Status: a.status,
		Ending: end,
		Why:    join(why, string(a.details)),
		Took:   c.took,
		First:  c.down,
		Sent:   a.sent,
		Tries:  c.tries,
		Header: a.header,
	}
	if c.wasSent && c.wasFirst {
		o.Try.Sent = c.sent
		o.Try.First = max(c.first-c.sent, 0)
		o.Try.Took = max(c.last-c.sent, o.Try.First)
	}
	if held := entry(c.metadata, 1, namespaceKept); len(held) > 0 {
		o.Kept = kept.Pieces{Head: string(find(member(held, "head"), 3)), Tail: string(find(member(held, "tail"), 3))}
	}
	if c.tries > 1 {
		o.Order = order(find(entry(c.metadata, 2, NamespacePlan), 2))
	}
	typed := entry(c.metadata, 2, namespaceUsage)
	if url := string(find(typed, 1)); url[strings.LastIndexByte(url, '/')+1:] == usageType {
		said := find(typed, 2)
		o.Usage, o.Partial = readUsage(said)
		o.Model = string(find(said, 2))
	}
	return o
}

// order reads which steps of the plan Envoy's attempts were from a PriorityGroupsOverride as writer.plan writes it; nil: they
// are the plan's own, or it is not one of ours.
func order(m []byte) (steps []int) {
	for {
		f, rest, ok := next(m)
		if !ok {
			return steps
		}
		n, err := strconv.Atoi(string(find(f.data, 1)))
		if err != nil || n < 0 || n > ticket.MaxLegs || len(steps) > 0 && n <= steps[len(steps)-1] {
			return nil
		}
		steps, m = append(steps, n), rest
	}
}

// timestamp reads a google.protobuf.Timestamp; zero where it is empty.
func timestamp(m []byte) time.Time {
	if since := duration(m); since > 0 {
		return time.Unix(0, int64(since))
	}
	return time.Time{}
}

// duration reads a google.protobuf.Duration.
func duration(m []byte) (d time.Duration) {
	for {
		f, rest, ok := next(m)
		if !ok {
			return d
		}
		switch f.number {
		case 1:
			d += time.Duration(f.n) * time.Second
		case 2:
			d += time.Duration(int32(f.n))
		}
		m = rest
	}
}

// counted reads a number that is wrapped, such as google.protobuf.UInt64Value.
func counted(m []byte) uint64 {
	f, _, _ := next(m)
	return f.n
}

// ending names what Envoy's flags say, the weightiest first.
func ending(flags []byte) (exchange.Ending, string) {
	var set uint64
	for {
		f, rest, ok := next(flags)
		if !ok {
			break
		}
		if f.n != 0 && f.number < 64 {
			set |= 1 << f.number
		}
		flags = rest
	}
	for _, m := range meanings {
		if set&m.flags != 0 {
			return m.ending, m.why
		}
	}
	return exchange.EndedWell, ""
}

// meanings are those of ResponseFlags by field number; flags that are not here say nothing of how an attempt
// ended.
var meanings = [...]struct {
	flags  uint64
	ending exchange.Ending
	why    string
}{
	{1<<28 | 1<<15, exchange.EndedByClient, "client gone"}, // 28: over HTTP/2, where that ends a stream and no connection
	{1 << 19, exchange.EndedByClient, "client broke the protocol"},
	{1 << 6, exchange.EndedConnect, "connection failure"},
	{1 << 2, exchange.EndedConnect, "no host"},
	{1<<25 | 1<<9, exchange.EndedConnect, "no cluster"},
	{1 << 8, exchange.EndedConnect, "circuit breaker"},
	{1 << 3, exchange.EndedTimeout, "no head in time"},
	{1 << 17, exchange.EndedTimeout, "idle"},
	{1<<23 | 1<<20, exchange.EndedTimeout, "total deadline"},
	{1<<7 | 1<<5, exchange.EndedReset, "reset by the provider"},
	{1 << 24, exchange.EndedReset, "protocol error"},
	{1 << 4, exchange.EndedInternally, "local reset"},
}

func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + "; " + b
}

// readUsage reads Envoy's extraction, a TokenUsage. partial says that it did not reach the end.
func readUsage(m []byte) (u llm.Usage, partial bool) {
	partial = true
	var protocol uint64
	var total llm.Count
	count := func(m []byte) llm.Count { return llm.Tokens(int64(min(counted(m), 1<<53))) }
	for {
		f, rest, ok := next(m)
		if !ok {
			if protocol == chatCompletions { // whose imitators count some tokens in the total only
				usage.AddRest(&u, total)
			}
			return u, partial
		}
		switch f.number {
		case 1:
			protocol = f.n
		case 3:
			u.Input = count(f.data)
		case 4:
			u.Output = count(f.data)
		case 6:
			for d := f.data; ; {
				f, rest, ok := next(d)
				if !ok {
					break
				}
				switch f.number {
				case 1:
					u.Cached = count(f.data)
				case 2:
					u.CacheWrite = count(f.data)
				}
				d = rest
			}
		case 7:
			for d := f.data; ; {
				f, rest, ok := next(d)
				if !ok {
					break
				}
				if f.number == 1 {
					u.Reasoning = count(f.data)
				}
				d = rest
			}
		case 8:
			total = count(f.data)
		case 9:
			partial = f.n != complete
		}
		m = rest
	}
}

const (
	complete        = 1 // TokenUsage.COMPLETE
	chatCompletions = 1 // LLMProtocol.OPENAI_CHAT_COMPLETIONS
)
