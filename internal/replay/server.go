package replay

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options of a Server. The zero value works.
type Options struct {
	Pace    Pace                                                   // for every record
	ByID    map[string]Pace                                        // instead of Pace, by id
	MaxBody int64                                                  // longest request body in bytes; 0: 64 MiB
	Sleep   func(ctx context.Context, d time.Duration) (err error) // instead of real time; returns ctx's error when that ends first
}

// Seen is a request as it came.
type Seen struct {
	Method, Path string // Path with the query
	Host         string
	Header       http.Header // with credentials
	Body         []byte
	Time         time.Time
}

// Server answers from records. Its requests:
//
//	GET /__index      ids, with endpoint, provider, model
//	GET /__last/ID    the last request that got the record, credentials redacted
//	GET /healthz
//	anything else     the record that pick finds
type Server struct {
	o    Options
	list []*Exchange
	byID map[string]*Exchange

	mu   sync.Mutex
	last map[string]Seen // by id
}

var _ http.Handler = (*Server)(nil)

// Handler makes a server of exchanges, which must not change any more. The first of two with the same id
// counts.
func Handler(exchanges []*Exchange, o Options) *Server {
	if o.MaxBody == 0 {
		o.MaxBody = 64 << 20
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	s := &Server{o: o, list: exchanges, byID: make(map[string]*Exchange, len(exchanges)), last: make(map[string]Seen)}
	for _, x := range exchanges {
		if s.byID[x.ID] == nil {
			s.byID[x.ID] = x
		}
	}
	return s
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Last returns the last request that got the record id.
func (s *Server) Last(id string) (Seen, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, ok := s.last[id]
	return seen, ok
}

// ServeHTTP implements http.Handler. A stalled answer ends when the client leaves or the request's context
// does, so a server that is to stop in time must cancel its base context.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/healthz":
		_, _ = io.WriteString(w, "ok\n")
		return
	case r.URL.Path == "/__index":
		s.index(w)
		return
	case strings.HasPrefix(r.URL.Path, "/__last/"):
		s.showLast(w, strings.TrimPrefix(r.URL.Path, "/__last/"))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.o.MaxBody))
	if err != nil {
		fail(w, http.StatusBadRequest, "body: "+err.Error())
		return
	}
	x, suffix, err := s.pick(r, body)
	if err != nil {
		fail(w, http.StatusNotFound, err.Error()+" "+r.Method+" "+r.URL.Path+
			"; name a record by the header x-replay-id, the path prefix /r/ID/ or the model, and see /__index")
		return
	}
	pace, ok := s.o.ByID[x.ID]
	if !ok {
		pace = s.o.Pace
	}
	if err := pace.suffix(suffix); err != nil {
		fail(w, http.StatusBadRequest, "model: "+err.Error())
		return
	}
	if err := pace.request(r); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	s.last[x.ID] = Seen{
		Method: r.Method, Path: r.URL.RequestURI(), Host: r.Host,
		Header: r.Header.Clone(), Body: bytes.Clone(body), Time: time.Now(),
	}
	s.mu.Unlock()
	s.send(w, r, x, pace)
}
