package anthropicmessages

import (
	"bytes"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
)

// Messages, as the API words them. The member's path stands in Param; WriteError joins the two.
const (
	missing = "Field required"
	extra   = "Extra inputs are not permitted"
)

func bad(param, message string) *llm.Error {
	return &llm.Error{Code: llm.CodeInvalid, Op: name + ".read", Param: param, Message: message}
}

// syntax turns a scanner's error into ours.
func syntax(err error) *llm.Error {
	e := bad("", "The request body is not valid JSON: "+err.Error())
	if s, ok := err.(*jsonx.SyntaxError); ok { //nolint:errorlint // the scanner returns it bare
		e.Param = s.Name
	}
	return e
}

// plain returns the text of a string value, to be compared with known words; nil for any other value.
func plain(raw []byte) []byte {
	if n := len(raw); n >= 2 && raw[0] == '"' && raw[n-1] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : n-1]
	}
	b, _ := jsonx.AppendString(nil, raw)
	return b
}

func wantString(at string, raw []byte) (string, error) {
	s, ok := jsonx.String(raw)
	switch {
	case ok:
		return s, nil
	case raw == nil:
		return "", bad(at, missing)
	}
	return "", bad(at, "Input should be a valid string")
}

func wantBool(at string, raw []byte) (bool, error) {
	b, ok := jsonx.Bool(raw)
	if !ok {
		return false, bad(at, "Input should be a valid boolean")
	}
	return b, nil
}

func boolean(at string, raw []byte) (*bool, error) {
	b, err := wantBool(at, raw)
	if err != nil {
		return nil, err
	}
	return &b, nil
}

func wantInt(at string, raw []byte, low int64) (int64, error) {
	n, ok := jsonx.Int(raw)
	switch {
	case !ok && jsonx.Kind(raw) == '0':
		return 0, bad(at, "Input should be a valid integer, without fraction or exponent and at most 2^53-1")
	case !ok:
		return 0, bad(at, "Input should be a valid integer")
	case n < low:
		return 0, bad(at, "Input should be greater than or equal to "+strconv.FormatInt(low, 10))
	}
	return n, nil
}

// wantUnit reads a number from 0 to 1.
func wantUnit(at string, raw []byte) (*float64, error) {
	f, ok := jsonx.Float(raw)
	switch {
	case !ok:
		return nil, bad(at, "Input should be a valid number")
	case f < 0 || f > 1:
		return nil, bad(at, "range: 0..1")
	}
	return &f, nil
}

func wantObject(at string, raw []byte) error {
	switch {
	case jsonx.Kind(raw) == '{':
		return nil
	case raw == nil:
		return bad(at, missing)
	}
	return bad(at, "Input should be an object")
}

func wantArray(at string, raw []byte) error {
	switch {
	case jsonx.Kind(raw) == '[':
		return nil
	case raw == nil:
		return bad(at, missing)
	}
	return bad(at, "Input should be a valid list")
}

// wantURL reads an https address that a provider could fetch: no address of a private network.
func wantURL(at string, raw []byte) (string, error) {
	s, err := wantString(at, raw)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || !strings.EqualFold(u.Scheme, "https") {
		return "", bad(at, "Only HTTPS URLs are supported")
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	if strings.EqualFold(host, "localhost") || privateIP(host) {
		return "", bad(at, "The URL is an address of a private network")
	}
	return s, nil
}

// privateIP reports whether a host is an address that only its own network reaches.
func privateIP(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && !public(ip.Unmap())
}

func public(ip netip.Addr) bool {
	return !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !ip.IsUnspecified() && !ip.IsMulticast()
}

func wantBase64(at string, raw []byte) (string, error) {
	s, err := wantString(at, raw)
	if err != nil {
		return "", err
	}
	if !fit.Base64(s) {
		return "", bad(at, "Input should be valid base64")
	}
	return s, nil
}

// readCache returns a cache mark, or nil for what is none that the vocabulary can hold.
func readCache(raw []byte) *llm.CacheMark {
	m := new(llm.CacheMark)
	ephemeral := false
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "type":
			ephemeral = string(plain(v)) == "ephemeral"
		case "ttl":
			m.TTL, _ = jsonx.String(v)
		default:
			return nil
		}
	}
	if !ephemeral {
		return nil
	}
	return m
}

// without returns an object less the named members, written anew, or nil when nothing is left.
func without(obj []byte, names ...string) []byte {
	var b []byte
next:
	for k, v := range jsonx.Members(obj) {
		for _, n := range names {
			if string(k) == n {
				continue next
			}
		}
		if b == nil {
			b = []byte{'{'}
		}
		b = raw(b, string(k), v)
	}
	if b == nil {
		return nil
	}
	return append(b, '}')
}

// maxDepth is the deepest nesting of what is decoded. Members that are only carried may nest deeper.
const maxDepth = 64

func join(at, member string) string { return at + "." + member }

func item(at string, i int) string { return at + "." + strconv.Itoa(i) }

func tooMany(at string, limit int) *llm.Error {
	return bad(at, fmt.Sprintf("List should have at most %d items", limit))
}

// appendDetails writes what is known of a refusal. The API's categories are a closed list, so that another provider's
// category goes before its explanation.
func appendDetails(dst, details []byte) []byte {
	category, explanation := jsonx.Get(details, "category"), jsonx.Get(details, "explanation")
	if category == nil && explanation == nil {
		return dst
	}
	if kind, _ := jsonx.String(jsonx.Get(details, "type")); kind == "refusal" {
		return raw(dst, "stop_details", details)
	}
	said, _ := jsonx.String(category)
	if text, _ := jsonx.String(explanation); said == "" {
		said = text
	} else if text != "" {
		said += ": " + text
	}
	dst = append(jsonx.AppendKey(dst, "stop_details"), `{"type":"refusal","category":null,"explanation":`...)
	return append(jsonx.AppendQuote(dst, said), '}')
}

// appendUsage writes usage in the API's counting, where what was cached is no part of the input. What is
// not known is 0: SDKs demand the members.
func appendUsage(dst []byte, u *llm.Usage) []byte {
	dst = append(dst, '{')
	dst = number(dst, "input_tokens", max(u.Input.N-u.Cached.N-u.CacheWrite.N, 0))
	dst = number(dst, "cache_creation_input_tokens", u.CacheWrite.N)
	dst = number(dst, "cache_read_input_tokens", u.Cached.N)
	dst = append(jsonx.AppendKey(dst, "cache_creation"), '{')
	dst = number(dst, "ephemeral_5m_input_tokens", max(u.CacheWrite.N-u.CacheWrite1h.N, 0))
	dst = number(dst, "ephemeral_1h_input_tokens", u.CacheWrite1h.N)
	dst = append(dst, '}')
	dst = number(dst, "output_tokens", u.Output.N)
	if u.Reasoning.Known {
		dst = append(number(append(jsonx.AppendKey(dst, "output_tokens_details"), '{'), "thinking_tokens", u.Reasoning.N), '}')
	}
	if u.WebSearches.Known {
		dst = number(append(jsonx.AppendKey(dst, "server_tool_use"), '{'), "web_search_requests", u.WebSearches.N)
		dst = append(number(dst, "web_fetch_requests", 0), '}') // SDKs demand it, and nothing here counts them
	}
	return append(dst, '}')
}

// oneLine returns a copy of what an upstream wrote, without the line ends that would end a frame's data.
func oneLine(value []byte) []byte {
	if bytes.ContainsAny(value, "\r\n") {
		if c, err := jsonx.Compact(value); err == nil {
			return c
		}
	}
	return slices.Clone(value)
}

// citation appends a citation in the dialect's form. What another dialect cites is a page on the web; its
// index is empty, by which the server half knows it for ours when it comes back.
func citation(dst []byte, c *llm.Citation) []byte {
	if c.From == name && len(c.Raw) > 0 {
		return append(dst, oneLine(c.Raw)...)
	}
	dst = append(dst, `{"type":"web_search_result_location"`...)
	dst = jsonx.AppendText(dst, "cited_text", c.Text)
	dst = jsonx.AppendText(dst, "url", c.URL)
	dst = jsonx.AppendText(dst, "title", c.Title)
	return append(dst, `,"encrypted_index":""}`...)
}
