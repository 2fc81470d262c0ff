package app

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/explain"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/rerate"
	adminv1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/routing"
)

// readiness says whether requests can be served, and why not.
type readiness struct {
	mu       sync.Mutex
	limits   bool                        // the counters of limits are known
	envoy    bool                        // an Envoy has taken our configuration
	child    func(context.Context) error // asks the Envoy that we run; nil before it has answered once
	draining bool
	first    []func() // called once, when everything is ready
}

func (r *readiness) set(f func(*readiness)) {
	r.mu.Lock()
	f(r)
	var due []func()
	if r.missing() == "" {
		due, r.first = r.first, nil
	}
	r.mu.Unlock()
	for _, f := range due {
		f()
	}
}

// missing says what is not ready, or "".
func (r *readiness) missing() string {
	switch {
	case r.draining:
		return "draining"
	case !r.limits:
		return "the counters of limits are not known yet"
	case !r.envoy:
		return "no Envoy has taken its configuration yet"
	case r.child == nil:
		return "Envoy is starting"
	}
	return ""
}

// why is missing, asking Envoy too: one that died is started again, and is not ready until then.
func (r *readiness) why(ctx context.Context) string {
	r.mu.Lock()
	why, ask := r.missing(), r.child
	r.mu.Unlock()
	if why == "" && ask(ctx) != nil {
		return "Envoy does not answer"
	}
	return why
}

// WhenReady calls f once, as soon as requests can be served.
func (a *App) WhenReady(f func()) {
	a.ready.set(func(r *readiness) { r.first = append(r.first, f) })
}

// api serves the admin API, nil: there is none.
func (a *App) api() http.Handler {
	return a.build.control.Handler(func() *auth.Gate { return a.core.Snapshot().Keys }, a.build.access.Failures, a.build.accounts.Ledger(), a.rerate, a.explain, a.routes, a.version)
}

// routes are those of the configuration in use.
func (a *App) routes() []*routing.Route { return a.core.Snapshot().Table.Routes() }

// version is that of the configuration in use, as the ledger has it.
func (a *App) version() string { return metering.ConfigOf(a.core.Snapshot().Version) }

// explain decides an exchange of the ledger again by the configuration in use.
func (a *App) explain(_ context.Context, records []*ledger.Record) *adminv1.ExplainExchangeResponse {
	return explain.Past(a.core.Snapshot(), records[0], time.Now()).Answer()
}

// rerate prices exchanges of the ledger by the configuration in use.
func (a *App) rerate(ctx context.Context, q book.Filter, apply bool) (rerate.Report, error) {
	return rerate.Run(ctx, a.build.accounts.Ledger(), q, pricer(a.Config()), !apply, nil)
}

// admin serves health checks, metrics and objectives, and the admin API where there is a store.
func (a *App) admin() http.Handler {
	m := http.NewServeMux()
	if api := a.api(); api != nil {
		m.Handle("/", api)
	}
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	m.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if why := a.ready.why(r.Context()); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	m.Handle("GET /metrics", a.metrics.Handler())
	m.Handle("GET /slo", a.build.slo)
	m.Handle("GET /targets", a.build.health)
	return m
}
