// Package shadowing makes copies of requests for the shadow arms of experiments: which requests may be sent twice, and what of
// them a copy has. It sends nothing: internal/experiment/shadow does.
package shadowing

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/headers"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
	"github.com/signalbox-ai/signalbox/internal/experiment/shadow"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Repeatable reports whether sending a request twice does no more than answering it twice. It is not so of what goes on with a
// conversation that the provider keeps, of jobs that are left behind, and of tools that act on others by themselves (MCP). doc
// is nil where the body is no JSON.
func Repeatable(op llm.Op, doc *jsonx.Doc) bool {
	switch op {
	case llm.OpChat, llm.OpComplete, llm.OpEmbed, llm.OpRerank, llm.OpModerate:
	default:
		return false
	}
	if doc == nil {
		return false
	}
	for i := range doc.Members {
		m := &doc.Members[i]
		raw := doc.Body[m.Start:m.End]
		switch m.Name {
		case "conversation", "previous_response_id", "container":
			if !jsonx.IsNull(raw) {
				return false
			}
		case "background":
			if is, _ := jsonx.Bool(raw); is {
				return false
			}
		case "mcp_servers":
			for range jsonx.Elements(raw) {
				return false
			}
		case "tools":
			for _, t := range jsonx.Elements(raw) {
				if kind, _ := jsonx.String(jsonx.Get(t, "type")); strings.HasPrefix(kind, "mcp") {
					return false
				}
			}
		}
	}
	return true
}

// Request is what is copied.
type Request struct {
	Method, Path string // with query, without credentials
	Header       headers.Header
	Body         []byte
	Who          auth.Identity
	Exchange     string        // ORGANIZATION/ID
	Timeout      time.Duration // 0: none
}

// Copies makes the copies of a request for arms. They share a body, and nothing with the request. credentials are the headers that
// providers' keys stand in.
func Copies(arms []string, r *Request, credentials []string) []*shadow.Copy {
	body := bytes.Clone(r.Body)
	all := make([]*shadow.Copy, 0, len(arms))
	for _, arm := range arms {
		all = append(all, &shadow.Copy{
			Arm: arm, Exchange: strings.Clone(r.Exchange), Method: strings.Clone(r.Method), Path: strings.Clone(r.Path), Header: passing(r.Header, credentials), Body: body, Who: r.Who, Timeout: r.Timeout,
		})
	}
	return all
}

// keptBack is what proves who a client is, what a hop says of itself, what is for one request alone, and what says how a
// client is connected.
var keptBack = [...]string{
	"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "content-length",
	"accept-encoding", "x-request-id", "traceparent", "tracestate", "baggage", "idempotency-key", "forwarded", "x-real-ip", pass.Header,
}

var keptBackLike = [...]string{":", "x-forwarded-", "x-envoy-", "proxy-", "sec-", "x-signalbox-"}

// passing is the header of a copy.
func passing(h headers.Header, credentials []string) http.Header {
	out := make(http.Header, len(h))
	for i := range h {
		n := h[i].Name
		if slices.Contains(keptBack[:], n) || slices.Contains(credentials, n) || slices.ContainsFunc(keptBackLike[:], func(p string) bool { return strings.HasPrefix(n, p) }) {
			continue
		}
		out.Add(strings.Clone(n), strings.Clone(h[i].Value))
	}
	return out
}
