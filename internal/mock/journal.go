package mock

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Request is a request as it came, credentials and all.
type Request struct {
	Time    time.Time
	Method  string
	Path    string // with the query
	Host    string
	Header  http.Header
	Body    []byte // the first MiB of it
	Length  int    // of the whole body
	Aborted bool   // the client left before the answer's end; set when that is known
}

// journal remembers the last requests. A request is not changed but for Aborted, under the lock.
type journal struct {
	max int

	mu   sync.Mutex
	list []*Request
	size int // bytes of all bodies
}

const (
	maxEntry   = 1 << 20  // bytes of a body
	maxJournal = 32 << 20 // bytes of all bodies
)

func (j *journal) add(r *Request) *Request {
	r.Body = r.Body[:min(len(r.Body), maxEntry):min(len(r.Body), maxEntry)]
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = append(j.list, r)
	j.size += len(r.Body)
	for len(j.list) > j.max || j.size > maxJournal {
		j.size -= len(j.list[0].Body)
		j.list[0] = nil
		j.list = j.list[1:]
	}
	return r
}

func (j *journal) abort(r *Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Aborted = true
}

func (j *journal) all() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := make([]Request, 0, len(j.list))
	for _, r := range j.list {
		list = append(list, *r)
	}
	return list
}

func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list, j.size = nil, 0
}

// shown is a request in the HTTP form of the journal.
type shown struct {
	Time    time.Time         `json:"time"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Host    string            `json:"host"`
	Headers map[string]string `json:"headers"`
	Length  int               `json:"length"`
	Body    string            `json:"body"`
	Aborted bool              `json:"aborted"`
}

// serveJournal shows or clears the journal.
func (s *Server) serveJournal(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		list := []shown{}
		for _, entry := range s.Journal() {
			list = append(list, show(&entry))
		}
		w.Header().Set("content-type", "application/json")
		body, err := jsonx.EncodeIndent(map[string]any{"requests": list})
		if err != nil {
			panic(err) // a value of our own
		}
		_, _ = w.Write(body)
	case http.MethodDelete:
		s.Clear()
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("allow", "GET, DELETE")
		http.Error(w, "use GET or DELETE", http.StatusMethodNotAllowed)
	}
}

const redacted = "[redacted]"

// show takes the credentials out of a request: from the headers and the query by their names, and their
// values from wherever else they stand.
func show(r *Request) shown {
	var values []string
	note := func(v string) {
		if _, behind, ok := strings.Cut(v, " "); ok { // a scheme, as Bearer
			v = behind
		}
		if len(v) >= 6 {
			values = append(values, v, redacted)
		}
	}
	path, query := r.Path, ""
	if p, q, ok := strings.Cut(r.Path, "?"); ok {
		path = p
		parsed, err := url.ParseQuery(q)
		if err != nil {
			parsed = url.Values{"unreadable": {redacted}}
		}
		for name := range parsed {
			if secret(name) {
				for _, v := range parsed[name] {
					note(v)
				}
				parsed[name] = []string{redacted}
			}
		}
		query = "?" + parsed.Encode()
	}
	for name, list := range r.Header {
		if secret(name) {
			for _, v := range list {
				note(v)
			}
		}
	}
	hide := strings.NewReplacer(values...)
	clean := func(s string) string { return strings.ToValidUTF8(hide.Replace(s), "\uFFFD") }
	headers := make(map[string]string, len(r.Header))
	for name, list := range r.Header {
		headers[strings.ToLower(name)] = clean(strings.Join(list, ", "))
		if secret(name) {
			headers[strings.ToLower(name)] = redacted
		}
	}
	return shown{
		Time: r.Time.UTC(), Method: r.Method, Path: clean(path) + clean(query), Host: clean(r.Host), Headers: headers,
		Length: r.Length, Body: clean(string(r.Body)), Aborted: r.Aborted,
	}
}

// secret reports whether a header or query parameter of that name holds a credential.
func secret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"auth", "key", "token", "secret", "cookie", "credential", "signature", "password"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
