package exchange

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Header is a request's or an answer's header as received, pseudo-headers included. Names are lower case.
type Header []providers.Header

// Get returns the first value of a name, or "".
func (h Header) Get(name string) string {
	for i := range h {
		if h[i].Name == name {
			return h[i].Value
		}
	}
	return ""
}

// All returns the values of a name.
func (h Header) All(name string) []string {
	var all []string
	for i := range h {
		if h[i].Name == name {
			all = append(all, h[i].Value)
		}
	}
	return all
}

// fields counts the client's own fields.
func (h Header) fields() int {
	n := 0
	for i := range h {
		if name := h[i].Name; name[:min(1, len(name))] != ":" && name != "x-request-id" && !strings.HasPrefix(name, "x-forwarded-") {
			n++
		}
	}
	return n
}

// Names of headers between the filters. Clients' own are removed before anything is read from them but
// the two that a route may allow.
const (
	headerPrefix   = "x-signalbox-"
	headerWatch    = headerPrefix + "watch"      // toward Envoy: the path of attempt 1
	headerUsage    = headerPrefix + "usage"      // toward Envoy: who reads an attempt's usage
	headerIdle     = headerPrefix + "idle"       // toward Envoy: which idle timer
	headerRetry    = headerPrefix + "retry"      // toward Envoy, on an answer: try the next target
	headerRoute    = headerPrefix + "route"      // from clients
	headerProvider = headerPrefix + "provider"   // from clients: whose objects are meant
	headerTimeout  = headerPrefix + "timeout-ms" // from clients

	headerTokens = headerPrefix + "tokens" // toward clients: a count that we made

	headerTrace      = "traceparent" // from clients and toward providers, with its tracestate (W3C Trace Context)
	headerTraceState = "tracestate"

	headerUpstreamID = headerPrefix + "upstream-request-id" // toward clients: the provider's own id
)

// deniedPrefixes and denied are client headers that never pass on: those that steer proxies or providers,
// those that say where the client is, and what only a gateway may say (RELIABILITY §7).
var (
	deniedPrefixes = [...]string{headerPrefix, "x-envoy-", "x-ai-eg-", "x-litellm-", "x-portkey-", "x-amzn-", "x-amz-", "x-goog-", "x-ms-", "x-forwarded-", "x-original-", "x-rewrite-", "proxy-", "cf-"}
	denied         = [...]string{"forwarded", "x-real-ip", "x-http-method-override", "te", "expect", "accept-encoding", "openai-organization", "openai-project", "via", "true-client-ip", "sec-websocket-extensions"}
)

// ofDialect reports whether a client header passes only to targets of a dialect.
func ofDialect(name string) bool {
	return name == "anthropic-version" || name == "anthropic-beta" || name == "openai-beta"
}

// headersOf is the dialect whose own headers pass to a provider: that of its codec, or none where the body has them.
func headersOf(c dialect.Client) dialect.Name {
	if e, ok := c.(dialect.Enclosed); ok && e.Encloses() {
		return ""
	}
	return c.Name()
}

// belongs reports whether such a header passes to a target of dialect d.
func belongs(name string, d dialect.Name) bool {
	switch name {
	case "anthropic-version", "anthropic-beta":
		return d == dialect.AnthropicMessages || d == dialect.AnthropicFiles
	case "openai-beta":
		return strings.HasPrefix(string(d), "openai-")
	}
	return false
}

// keep are the client headers that a later attempt may need though an earlier one took them out.
func (h Header) keep() map[string]string {
	var kept map[string]string
	for i := range h {
		if ofDialect(h[i].Name) {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[strings.Clone(h[i].Name)] = strings.Clone(h[i].Value)
		}
	}
	return kept
}

// stripped returns the names of h that must not pass to an upstream of dialect to, credentials apart.
func (h Header) stripped(to dialect.Name) []string {
	var names []string
	for i := range h {
		n := h[i].Name
		if n == "" || n[0] == ':' || n == "x-forwarded-proto" { // Envoy needs it; its last filter takes it out
			continue
		}
		if belongs(n, to) {
			continue
		} else if ofDialect(n) || deniedName(n) {
			names = append(names, n)
		}
	}
	return names
}

func deniedName(n string) bool {
	if slices.Contains(denied[:], n) || strings.HasPrefix(n, "anthropic-") || strings.HasPrefix(n, "openai-") {
		return true
	}
	for _, p := range deniedPrefixes {
		if strings.HasPrefix(n, p) {
			return true
		}
	}
	return false
}
