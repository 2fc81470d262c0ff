package sending

import (
	"context"
	"fmt"

	commonv1 "go.opentelemetry.io/proto/slim/otlp/common/v1"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/outlet"
	"github.com/signalbox-ai/signalbox/internal/telemetry/otlp"
)

// Outlets makes what hands the ledger's records over to the sinks of the configuration. It connects to nothing yet. Its errors
// are config.Errors.
func Outlets(ctx context.Context, cfg *config.Config, store book.Outbox, o Options) (all []*outlet.Outlet, err error) {
	if o.Metrics == nil {
		o.Metrics = Metrics(&cfg.Telemetry)
	}
	for i := range cfg.Ledger.Export {
		e := &cfg.Ledger.Export[i]
		var s outlet.Sink
		switch e.Kind() {
		case "webhook":
			s = &outlet.Webhook{To: e.Webhook, Format: e.Format}
		case "file":
			s = &outlet.File{Path: e.File, Format: e.Format}
		default:
			if s, err = logs(ctx, e, cfg, o.Version); err != nil {
				return nil, config.Errors{cfg.Fault(fmt.Sprintf("ledger.export[%d].otlp", i), err.Error())}
			}
		}
		all = append(all, outlet.New(outlet.Params{Name: e.Name, Store: store, Sink: s, Count: &o.Metrics.Ledger, Log: o.Log}))
	}
	return all, nil
}

// logs makes the sink of a collector. It is described by the resource that telemetry has.
func logs(ctx context.Context, e *config.Export, cfg *config.Config, version string) (outlet.Sink, error) {
	o, err := collector(ctx, &e.OTLP)
	if err != nil {
		return nil, err
	}
	c, err := otlp.NewClient(o)
	if err != nil {
		return nil, err
	}
	return &outlet.Collector{
		Client: c, Resource: resourceOf(cfg.Telemetry.Resource, version), Scope: &commonv1.InstrumentationScope{Name: "github.com/signalbox-ai/signalbox", Version: version},
		Renew: func(ctx context.Context) error {
			hs, err := headers(ctx, e.OTLP.Headers)
			if err == nil {
				c.SetHeaders(hs)
			}
			return err
		},
	}, nil
}

// ProbeExports fetches the secrets of sinks: a fault should show now, and not in a log when records wait.
func ProbeExports(ctx context.Context, cfg *config.Config) (faults config.Errors) {
	for i := range cfg.Ledger.Export {
		e, at := &cfg.Ledger.Export[i], fmt.Sprintf("ledger.export[%d]", i)
		switch e.Kind() {
		case "webhook":
			if path, err := (&channel.Settings{Webhook: e.Webhook}).Probe(ctx); err != nil {
				faults = append(faults, cfg.Fault(at+"."+path, err.Error()))
			}
		case "otlp":
			if _, err := headers(ctx, e.OTLP.Headers); err != nil {
				faults = append(faults, cfg.Fault(at+".otlp.headers", err.Error()))
			}
		}
	}
	return faults
}
