// Package mock is a scriptable LLM provider that speaks openai-chat and anthropic-messages, and makes embeddings
// and rankings. The model's
// name is the script: "echo" repeats the user, "slow:2s+tokens:50" waits and counts, "cut:3" breaks the
// connection, "429:7" refuses. README.md has the table. It serves tests, `signalbox mock`, and the mock
// that `signalbox up` carries for those who have no key yet or want to see failover work.
//
//	request ─ parse ─► script ─ compose ─► answer ─ openai, anthropic ─► frames ─ send ─► client
//	   └► journal         └► failure ──────────────────────────────────────┘
//
// It shares no code with the codecs (providers/dialect), so that it can judge them, and has no model: its
// tokens are words. It is strict about requests as the providers are, and about nothing else.
package mock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Options of a Server. The zero value works.
type Options struct {
	Name      string                                           // shown in answers; "": "mock"
	Seed      uint64                                           // of ids and chance; 0: a random one
	Now       func() time.Time                                 // instead of time.Now
	Sleep     func(ctx context.Context, d time.Duration) error // instead of real time; returns ctx's error when that ends first
	KeepAlive time.Duration                                    // between keep-alives of a waiting stream; 0: 1 s
	Journal   int                                              // requests to remember; 0: 256
	MaxBody   int64                                            // longest request body in bytes; 0: 64 MiB
}

// Server is the provider. Its paths, behind any prefix:
//
//	POST …/chat/completions        openai-chat
//	POST …/messages                anthropic-messages
//	POST …/messages/count_tokens
//	POST …/embeddings              openai-embeddings
//	POST …/rerank                  rerank, in Jina's form
//	GET  …/models, …/models/ID     in the dialect of the headers
//	GET  /healthz
//	GET, DELETE /__mock/requests   the journal; DELETE also forgets the counts of fail-first and flaky
type Server struct {
	o       Options
	journal journal

	mu    sync.Mutex
	count uint64            // answers so far
	tries map[string]uint64 // by model string, for fail-first and flaky
}

var _ http.Handler = (*Server)(nil)

// maxTries bounds Server.tries; when it is reached, all counts start again.
const maxTries = 4096

// New makes a server.
func New(o Options) *Server {
	if o.Name == "" {
		o.Name = "mock"
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.KeepAlive <= 0 {
		o.KeepAlive = time.Second
	}
	if o.Journal <= 0 {
		o.Journal = 256
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 64 << 20
	}
	return &Server{o: o, journal: journal{max: o.Journal}, tries: make(map[string]uint64)}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ServeHTTP implements http.Handler. Answers that hang or stall end when the client leaves or the request's
// context does, so a server that is to stop in time must cancel its base context.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case path == "/healthz":
		_, _ = io.WriteString(w, "ok\n")
		return
	case path == "/__mock/requests":
		s.serveJournal(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.o.MaxBody))
	entry := s.journal.add(&Request{
		Time: s.o.Now(), Method: r.Method, Path: r.URL.RequestURI(), Host: r.Host,
		Header: r.Header.Clone(), Body: bytes.Clone(body), Length: len(body),
	})
	e := &exchange{s: s, w: w, ctx: r.Context(), d: dialectOf(r), rc: http.NewResponseController(w), id: s.nextID()}
	defer func() {
		if e.broken {
			s.journal.abort(entry)
		}
	}()
	if err != nil {
		e.bodyError(err)
		return
	}
	e.route(r, body)
}

func (e *exchange) bodyError(err error) {
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		e.fail(&failure{status: http.StatusRequestEntityTooLarge})
		return
	}
	e.broken = true // the client left within its request
}

// route sends the request to what the path names.
func (e *exchange) route(r *http.Request, body []byte) {
	path, method := strings.TrimSuffix(r.URL.Path, "/"), http.MethodPost
	var serve func()
	models := strings.LastIndex(path+"/", "/models/")
	switch {
	case strings.HasSuffix(path, "/chat/completions"), strings.HasSuffix(path, "/messages"):
		serve = func() { e.chat(body) }
	case strings.HasSuffix(path, "/messages/count_tokens"):
		serve = func() { e.countTokens(body) }
	case strings.HasSuffix(path, "/embeddings"):
		serve = func() { e.embeddings(body) }
	case strings.HasSuffix(path, "/rerank"):
		serve = func() { e.rerank(body) }
	case models >= 0:
		method = http.MethodGet
		serve = func() { e.models(strings.TrimSuffix((path + "/")[models+len("/models/"):], "/")) }
	default:
		e.fail(&failure{status: http.StatusNotFound, message: "unknown path " + r.URL.Path})
		return
	}
	switch encoding := r.Header.Get("content-encoding"); {
	case r.Method != method:
		e.w.Header().Set("allow", method)
		e.fail(&failure{status: http.StatusMethodNotAllowed, message: "use " + method + " for " + r.URL.Path})
	case encoding != "" && encoding != "identity":
		e.fail(&failure{status: http.StatusUnsupportedMediaType, message: "content-encoding: " + encoding + " is not read here"})
	default:
		serve()
	}
}

// chat answers a request for text.
func (e *exchange) chat(body []byte) {
	req, err := readRequest(e.d, body)
	if err != nil {
		e.invalid(err)
		return
	}
	e.req = req
	sc, err := parse(req.model)
	if err != nil {
		e.invalid(err)
		return
	}
	e.sc = sc
	if sc.calls > 0 && len(req.tools) == 0 && !req.replied {
		e.invalid(&memberError{"tools", "the behaviour tools needs a function tool in the request"})
		return
	}
	if status := sc.fails(e.s.o.Seed, req.model, e.s.try(req.model, sc)); status != 0 {
		e.fail(&failure{status: status})
		return
	}
	e.send()
}

func (e *exchange) countTokens(body []byte) {
	req, err := readCounted(e.d, body)
	if err != nil {
		e.invalid(err)
		return
	}
	e.whole(http.StatusOK, encode(map[string]int{"input_tokens": req.words}))
}

// try counts a request for a model whose script depends on that.
func (s *Server) try(model string, sc *script) uint64 {
	if sc.first == 0 && sc.flaky == 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tries) >= maxTries {
		clear(s.tries)
	}
	n := s.tries[model]
	s.tries[model] = n + 1
	return n
}

func (s *Server) nextID() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	return s.count
}

// Journal returns the last requests, oldest first, credentials and all.
func (s *Server) Journal() []Request { return s.journal.all() }

// Clear empties the journal and forgets the counts of fail-first and flaky.
func (s *Server) Clear() {
	s.journal.clear()
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tries)
}

// encode is for values of our own, which cannot fail.
func encode(v any) []byte {
	b, err := jsonx.Encode(v)
	if err != nil {
		panic(err)
	}
	return b
}
