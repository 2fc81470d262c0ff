package exchange

import (
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// To says which message of Envoy a reply answers.
type To uint8

// What a reply answers.
const (
	ToRequestHead To = iota
	ToRequestBody
	ToAnswerHead
	ToAnswerChunk
)

// Reply answers one message. The zero value lets everything pass as it is.
type Reply struct {
	To      To
	Answer  *Answer // ends the exchange with an answer of our own
	Set     []providers.Header
	Remove  []string
	Status  int    // answer head: the status in place of the provider's; 0: as it is
	Body    []byte // with Replace: the body, or the chunk, in place of what came
	Replace bool
	Plan    *Routed // request body of the plan stage
	Attempt *Prepared
	Limits  []providers.Header // that the client is told of its limits, whoever answers
	Done    bool               // nothing more is wanted: the stream may be closed
}

// Routed is what the plan stage hands to Envoy.
type Routed struct {
	Clusters []string // one for each attempt, in order
	Ticket   string
	Dialect  dialect.Name
}

// Prepared describes the attempt whose request is sent: what Envoy needs to finish it.
type Prepared struct {
	Length int    // of the body
	Target string // shown to the client with Number; "": not shown
	Number int    // of the attempt, from 1
	Losses string // shown to the client, as their paths; "": none
	Tokens string // of the prompt, shown to the client with Target; "": not counted
}

// Answer is an answer of our own.
type Answer struct {
	Status int
	Header []providers.Header
	Body   []byte
	Err    *llm.Error // what Body says, when it is an error
}

// answer writes an error in the client's dialect.
func answer(s dialect.Server, e *llm.Error, id string) *Answer {
	status, body := s.WriteError(e, id)
	a := &Answer{Status: status, Body: body, Err: e, Header: []providers.Header{{Name: "content-type", Value: "application/json"}}}
	if h, ok := s.(dialect.Headed); ok {
		h.AnswerHeader(e, id, func(name, value string) { a.Header = append(a.Header, providers.Header{Name: name, Value: value}) })
	}
	if e.After > 0 {
		a.Header = append(a.Header, providers.Header{Name: "retry-after", Value: strconv.Itoa(int((e.After + time.Second - 1) / time.Second))})
	}
	switch e.Code {
	case llm.CodeUnauthenticated:
		a.Header = append(a.Header, providers.Header{Name: "www-authenticate", Value: "Bearer"})
	case llm.CodeOverQuota, llm.CodeInvalid, llm.CodeUnsupported, llm.CodeContextTooLong:
		a.Header = append(a.Header, providers.Header{Name: "x-should-retry", Value: "false"})
	}
	return a
}
