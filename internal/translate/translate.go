// Package translate shows what requests and answers become, without Envoy and without a network: it feeds
// recorded exchanges to the same state machine that serves live ones and writes down what it replies. It
// decides nothing itself, and sends nothing anywhere.
//
//	line of JSON ─► Record ─► extproc/exchange ─► Result ─► line of JSON
package translate

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Record is what is to be translated. The names are those of recorded exchanges; the answer's may be
// missing.
type Record struct {
	ID             string            `json:"id"`
	Client         string            `json:"client"` // dialect; "": as the request path says
	RequestPath    string            `json:"request_path"`
	RequestHeaders map[string]string `json:"request_headers"`
	RequestJSON    jsonx.Raw         `json:"request_json"`
	Target         Target            `json:"target"`
	Status         int               `json:"response_status"`
	Headers        map[string]string `json:"response_headers"`
	BodyKind       string            `json:"response_body_kind"` // json, sse, ndjson, text; with -b64 behind it: base64
	Body           *string           `json:"response_body"`
}

// Target is the model that the request goes to.
type Target struct {
	Kind    string    `json:"kind"`
	Model   string    `json:"model"`
	BaseURL string    `json:"base_url"`
	Region  string    `json:"region"`
	Like    string    `json:"like"`
	Params  jsonx.Raw `json:"params"`
}

// Result is what the record became.
type Result struct {
	ID       string     `json:"id"`
	Upstream *Message   `json:"upstream"`
	Answer   *Message   `json:"answer"`
	Usage    *Usage     `json:"usage"`
	Losses   []llm.Loss `json:"losses"`
	Path     string     `json:"path"` // direct or worked; "" when there is no request to send
	Error    *Fault     `json:"error"`
}

// Message is a request toward a provider, or an answer toward a client. A body that is not text stands as
// base64 in BodyBase64.
type Message struct {
	Method     string            `json:"method,omitzero"`
	Path       string            `json:"path,omitzero"`
	Status     int               `json:"status,omitzero"`
	Headers    map[string]string `json:"headers"`
	Body       *string           `json:"body,omitzero"`
	BodyBase64 string            `json:"body_base64,omitzero"`
}

// Usage is the answer's, null where unknown.
type Usage struct {
	Input      *int64 `json:"input"`
	Output     *int64 `json:"output"`
	Cached     *int64 `json:"cached"`
	CacheWrite *int64 `json:"cache_write"`
	Reasoning  *int64 `json:"reasoning"`
}

// Fault says why there is no request, or no answer.
type Fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Param   string `json:"param"`
}

func fault(e *llm.Error) *Fault {
	return &Fault{Code: e.Code.String(), Message: e.Message, Param: e.Param}
}

func usageOf(u llm.Usage) *Usage {
	if !u.Known() {
		return nil
	}
	n := func(c llm.Count) *int64 {
		if !c.Known {
			return nil
		}
		return &c.N
	}
	return &Usage{n(u.Input), n(u.Output), n(u.Cached), n(u.CacheWrite), n(u.Reasoning)}
}

// body returns the recorded answer's bytes; ok is false when there is none.
func (r *Record) body() (b []byte, ok bool, err error) {
	if r.Body == nil {
		return nil, false, nil
	}
	if strings.HasSuffix(r.BodyKind, "-b64") {
		b, err = base64.StdEncoding.DecodeString(*r.Body)
		if err != nil {
			return nil, false, fmt.Errorf("response_body: %w", err)
		}
		return b, true, nil
	}
	return []byte(*r.Body), true, nil
}

// contentType is what the answer came as, where its headers do not say.
func (r *Record) contentType() string {
	switch strings.TrimSuffix(r.BodyKind, "-b64") {
	case "sse":
		return "text/event-stream"
	case "ndjson":
		return "application/x-ndjson"
	case "eventstream":
		return "application/vnd.amazon.eventstream"
	case "text":
		return "text/plain"
	}
	return "application/json"
}
