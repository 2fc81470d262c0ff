package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"unicode"
)

// hidden stands where a secret was.
const hidden = "***"

// NewLogger makes the program's logger. format is "text" or "json", level "debug", "info", "warn" or
// "error". Attributes whose name or value looks like a secret are written as ***.
func NewLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var least slog.Level
	switch level {
	case "debug":
		least = slog.LevelDebug
	case "info":
		least = slog.LevelInfo
	case "warn":
		least = slog.LevelWarn
	case "error":
		least = slog.LevelError
	default:
		return nil, fmt.Errorf("log.level: %q is none of debug, info, warn, error", level)
	}
	o := &slog.HandlerOptions{Level: least, ReplaceAttr: redact}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	default:
		return nil, fmt.Errorf("log.format: %q is neither text nor json", format)
	}
}

// redact is a second line of defence: secrets are secret.Values, which hide themselves, but a header map or
// a URL of somebody else's may be logged as well.
func redact(_ []string, a slog.Attr) slog.Attr {
	if secretName(a.Key) {
		return slog.String(a.Key, hidden)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		if secretText(a.Value.String()) {
			return slog.String(a.Key, hidden)
		}
	case slog.KindAny:
		return slog.Attr{Key: a.Key, Value: redactAny(a.Value)}
	}
	return a
}

func redactAny(v slog.Value) slog.Value {
	switch x := v.Any().(type) {
	case http.Header:
		return slog.AnyValue(http.Header(redactLists(x)))
	case map[string][]string:
		return slog.AnyValue(redactLists(x))
	case map[string]string:
		out := make(map[string]string, len(x))
		for k, s := range x {
			if secretName(k) || secretText(s) {
				s = hidden
			}
			out[k] = s
		}
		return slog.AnyValue(out)
	case *url.URL:
		return redactURL(x)
	case url.URL:
		return redactURL(&x)
	}
	return v
}

func redactLists(lists map[string][]string) map[string][]string {
	out := make(map[string][]string, len(lists))
	for k, list := range lists {
		masked := make([]string, len(list))
		for i, s := range list {
			if masked[i] = s; secretName(k) || secretText(s) {
				masked[i] = hidden
			}
		}
		out[k] = masked
	}
	return out
}

// redactURL drops the password and the query, where some providers expect their key.
func redactURL(u *url.URL) slog.Value {
	if u == nil {
		return slog.StringValue("")
	}
	bare := *u
	if bare.RawQuery != "" {
		bare.RawQuery = hidden
	}
	return slog.StringValue(bare.Redacted())
}

// secretText recognizes the credentials of an authorization header by their scheme.
func secretText(s string) bool {
	scheme, rest, found := strings.Cut(s, " ")
	return found && rest != "" && (strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "basic"))
}

// secretWords make a name secret wherever they stand in it.
var secretWords = map[string]bool{
	"apikey": true, "authorization": true, "bearer": true, "cookie": true, "cookies": true, "credentials": true,
	"passphrase": true, "passwd": true, "password": true, "secret": true, "secrets": true,
}

// secretBefore make a name secret where they stand before its last word, "key" or "token". Alone, a "key" is
// an id, and "tokens" are counted.
var secretBefore = map[string]bool{
	"access": true, "api": true, "auth": true, "id": true, "private": true, "refresh": true,
	"security": true, "session": true, "signing": true,
}

// secretName reports whether an attribute or a header of this name holds a secret.
func secretName(name string) bool {
	before, last := "", ""
	for word := range words(name) {
		if secretWords[word] {
			return true
		}
		before, last = last, word
	}
	switch last {
	case "token":
		return before == "" || secretBefore[before]
	case "key":
		return secretBefore[before]
	}
	return false
}

// words yields the words of a name in lower case: they part at every character that is no letter or digit,
// and before a capital that follows a small letter.
func words(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start, small := 0, false
		for i, r := range name {
			boundary := !unicode.IsLetter(r) && !unicode.IsDigit(r)
			if boundary || small && unicode.IsUpper(r) {
				if i > start && !yield(strings.ToLower(name[start:i])) {
					return
				}
				start = i
				if boundary {
					start = i + len(string(r))
				}
			}
			small = unicode.IsLower(r)
		}
		if start < len(name) {
			yield(strings.ToLower(name[start:]))
		}
	}
}
