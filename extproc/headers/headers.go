// Package headers is the header of a request or an answer, and the rules of what of a client's passes on: what steers
// proxies and providers, says where the client is, or is a dialect's own, does not reach a provider that it is not for.
// It sets nothing; credentials are taken out by the providers' registry.
package headers

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

// Count counts the client's own fields.
func (h Header) Count() int {
	n := 0
	for i := range h {
		if name := h[i].Name; name[:min(1, len(name))] != ":" && name != "x-request-id" && !strings.HasPrefix(name, "x-forwarded-") {
			n++
		}
	}
	return n
}

// Prefix begins the names of our own headers.
const Prefix = "x-signalbox-"

// deniedPrefixes and denied are client headers that never pass on: those that steer proxies or providers,
// those that say where the client is, and what only a gateway may say (RELIABILITY §7).
var (
	deniedPrefixes = [...]string{Prefix, "x-envoy-", "x-ai-eg-", "x-litellm-", "x-portkey-", "x-amzn-", "x-amz-", "x-goog-", "x-ms-", "x-forwarded-", "x-original-", "x-rewrite-", "proxy-", "cf-"}
	denied         = [...]string{"forwarded", "x-real-ip", "x-http-method-override", "te", "expect", "accept-encoding", "openai-organization", "openai-project", "via", "true-client-ip", "sec-websocket-extensions"}
)

// OfDialect reports whether a client header passes only to targets of a dialect.
func OfDialect(name string) bool {
	return name == "anthropic-version" || name == "anthropic-beta" || name == "openai-beta"
}

// Of is the dialect whose own headers pass to a provider: that of its codec, or none where the body has them.
func Of(c dialect.Client) dialect.Name {
	if e, ok := c.(dialect.Enclosed); ok && e.Encloses() {
		return ""
	}
	return c.Name()
}

// Belongs reports whether such a header passes to a target of dialect d.
func Belongs(name string, d dialect.Name) bool {
	switch name {
	case "anthropic-version", "anthropic-beta":
		return d == dialect.AnthropicMessages || d == dialect.AnthropicFiles
	case "openai-beta":
		return strings.HasPrefix(string(d), "openai-")
	}
	return false
}

// Keep returns the client headers that a later attempt may need though an earlier one took them out.
func (h Header) Keep() map[string]string {
	var kept map[string]string
	for i := range h {
		if OfDialect(h[i].Name) {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[strings.Clone(h[i].Name)] = strings.Clone(h[i].Value)
		}
	}
	return kept
}

// Stripped returns the names of h that must not pass to an upstream of dialect to, credentials apart.
func (h Header) Stripped(to dialect.Name) []string {
	var names []string
	for i := range h {
		n := h[i].Name
		if n == "" || n[0] == ':' || n == "x-forwarded-proto" { // Envoy needs it; its last filter takes it out
			continue
		}
		if Belongs(n, to) {
			continue
		} else if OfDialect(n) || deniedName(n) {
			names = append(names, n)
		}
	}
	return names
}

// Unseen is the one header that Envoy does not tell us of: whether a request has it is not known.
const Unseen = "cookie"

// Changes returns what of these changes makes a difference to h: most requests have one credential of the many that are taken
// out, and Envoy checks and makes each change that it is told. Removals come before what is set, which replaces all
// values of its name. Both are changed in place.
func (h Header) Changes(set []providers.Header, remove []string) ([]providers.Header, []string) {
	remove = slices.DeleteFunc(remove, func(name string) bool {
		return name != Unseen && !h.has(name) || Header(set).has(name)
	})
	// What is moved up meanwhile is not counted twice: a field that stays has another name than the one that is looked at, or
	// is a second of it.
	kept := slices.DeleteFunc(set, func(s providers.Header) bool { return h.once(s) && Header(set).once(s) })
	return kept, remove
}

func (h Header) has(name string) bool {
	return slices.ContainsFunc(h, func(f providers.Header) bool { return f.Name == name })
}

// once reports whether a name has this value, and no other.
func (h Header) once(of providers.Header) bool {
	n := 0
	for i := range h {
		if h[i].Name == of.Name {
			if n++; h[i].Value != of.Value {
				return false
			}
		}
	}
	return n == 1
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
