package replay

import (
	"net/http"
	"net/url"
	"strings"
)

// entry is a line of /__index.
type entry struct {
	ID       string  `json:"id"`
	Provider string  `json:"provider"`
	Endpoint string  `json:"endpoint"`
	Model    *string `json:"model"`
	Stream   bool    `json:"stream"`
	Status   int     `json:"status"`
	Path     string  `json:"path"`
}

func (s *Server) index(w http.ResponseWriter) {
	list := make([]entry, 0, len(s.list))
	for _, x := range s.list {
		list = append(list, entry{x.ID, x.Provider, x.Endpoint, x.Model, x.Stream, x.Status, x.RequestPath})
	}
	show(w, http.StatusOK, map[string]any{"exchanges": list})
}

func (s *Server) showLast(w http.ResponseWriter, id string) {
	seen, ok := s.Last(id)
	if !ok {
		fail(w, http.StatusNotFound, "no request has had the record "+id)
		return
	}
	headers := make(map[string]string, len(seen.Header))
	for name, values := range seen.Header {
		name = strings.ToLower(name)
		headers[name] = utf8(strings.Join(values, ", "))
		if secret(name) {
			headers[name] = "[redacted]"
		}
	}
	show(w, http.StatusOK, map[string]any{
		"id": id, "method": seen.Method, "path": utf8(cleanPath(seen.Path)), "host": utf8(seen.Host),
		"headers": headers, "body": utf8(string(seen.Body)), "time": seen.Time.UTC(),
	})
}

// utf8 makes what a client sent fit for JSON.
func utf8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// secret reports whether a header or query parameter of that lower-case name holds a credential.
func secret(name string) bool {
	for _, word := range []string{"auth", "key", "token", "secret", "cookie", "credential", "signature", "password"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// cleanPath redacts the credentials in a query.
func cleanPath(path string) string {
	p, q, ok := strings.Cut(path, "?")
	if !ok {
		return path
	}
	query, err := url.ParseQuery(q)
	if err != nil {
		return p + "?[unreadable]"
	}
	for name := range query {
		if secret(strings.ToLower(name)) {
			query[name] = []string{"[redacted]"}
		}
	}
	return p + "?" + query.Encode()
}

// fail answers with an error of the replay itself, which no provider's error looks like.
func fail(w http.ResponseWriter, status int, text string) {
	show(w, status, map[string]any{"error": map[string]any{
		"message": "replay: " + utf8(text), "type": "replay_error", "param": nil, "code": nil,
	}})
}

func show(w http.ResponseWriter, status int, v any) {
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(encode(v), '\n'))
}
