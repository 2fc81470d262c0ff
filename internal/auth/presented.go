package auth

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

const authorization = "authorization"

// keyHeaders hold a key as it is, in the ways of Anthropic, Azure and Gemini.
var keyHeaders = []string{"x-api-key", "api-key", "x-goog-api-key"}

type kind uint8

const (
	nothing     kind = iota
	otherScheme      // authorization, but not Bearer
	aKey
)

// presented is the credential of a request. The zero value is none. It holds the key's hash, never the key.
type presented struct {
	kind  kind
	token bool // it looks like a JSON web token
	sum   [sha256.Size]byte
}

// Format hides the hash for every verb.
func (p presented) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// readHeaders reads the credential: authorization: Bearer KEY, x-api-key, api-key, x-goog-api-key, a
// WebSocket protocol that holds a key, or the key in a query to Gemini's paths (get's ":path"). get
// returns all values of a header by its lower-case name. The same key may come in several headers. Two
// that differ, a second authorization header, or a key that cannot be one are an *llm.Error with
// CodeInvalid. No credential, and one of another scheme, are left to Check: Open does not ask for any.
func readHeaders(get func(name string) []string) (presented, error) {
	var p presented
	var from string
	values := get(authorization)
	if len(values) > 1 {
		return presented{}, llm.Invalid(authorization, "the authorization header was sent more than once")
	}
	for _, v := range values {
		scheme, key, _ := strings.Cut(strings.Trim(v, " \t"), " ")
		if scheme == "" {
			continue
		}
		if !strings.EqualFold(scheme, "bearer") {
			p.kind, from = otherScheme, authorization
			continue
		}
		if err := p.add(&from, authorization, key); err != nil {
			return presented{}, err
		}
	}
	for _, name := range keyHeaders {
		for _, v := range get(name) {
			if err := p.add(&from, name, v); err != nil {
				return presented{}, err
			}
		}
	}
	for _, v := range get(":path") {
		if err := p.fromQuery(&from, v); err != nil {
			return presented{}, err
		}
	}
	for _, v := range get(protocols) {
		for one := range strings.SplitSeq(v, ",") {
			if key, ok := strings.CutPrefix(strings.TrimSpace(one), protocolKey); ok {
				if err := p.add(&from, protocols, key); err != nil {
					return presented{}, err
				}
			}
		}
	}
	return p, nil
}

// queryKey names the parameter in which some of Gemini's clients send the key.
const queryKey = "key"

// fromQuery reads the key of a request to Gemini's paths from the query.
func (p *presented) fromQuery(from *string, path string) error {
	path, query, found := strings.Cut(path, "?")
	if !found || !strings.HasPrefix(path, "/v1beta/") && path != "/v1/models" && !strings.HasPrefix(path, "/v1/models/") {
		return nil
	}
	for q := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(q, "=")
		if name != queryKey {
			continue
		}
		key, err := url.QueryUnescape(value)
		if err != nil {
			return llm.Invalid(queryKey, "the key in the query is not percent-encoded")
		}
		if err := p.add(from, queryKey, key); err != nil {
			return err
		}
	}
	return nil
}

// A browser cannot set headers of a WebSocket: OpenAI's clients put the key among the protocols.
const (
	protocols   = "sec-websocket-protocol"
	protocolKey = "openai-insecure-api-key."
)

// WithoutKey returns a list of WebSocket protocols without the client's key. with reports whether it had one.
func WithoutKey(list string) (rest string, with bool) {
	if !strings.Contains(list, protocolKey) {
		return list, false
	}
	var kept []string
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); !strings.HasPrefix(one, protocolKey) {
			kept = append(kept, one)
		}
	}
	if len(kept) == 0 {
		return "realtime", true
	}
	return strings.Join(kept, ", "), true
}

// add takes one more credential. An empty one is none. from is the header of those before.
func (p *presented) add(from *string, name, key string) error {
	key = strings.Trim(key, " \t")
	if key == "" {
		return nil
	}
	if err := usable(key); err != nil {
		return llm.Invalid(name, err.Error())
	}
	sum := sha256.Sum256([]byte(key))
	switch {
	case p.kind == nothing:
		*p, *from = presented{kind: aKey, token: strings.HasPrefix(key, "eyJ") && strings.Count(key, ".") == 2, sum: sum}, name
	case p.kind == otherScheme || p.sum != sum:
		if *from == name {
			return llm.Invalid(name, "the header was sent twice with different keys")
		}
		return llm.Invalid(name, "two different credentials were sent, in "+*from+" and "+name)
	}
	return nil
}
