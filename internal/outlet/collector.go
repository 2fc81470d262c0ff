package outlet

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	commonv1 "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logv1 "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	resourcev1 "go.opentelemetry.io/proto/slim/otlp/resource/v1"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/telemetry/otlp"
)

// Collector sends each record as a log record of OpenTelemetry.
type Collector struct {
	Client   *otlp.Client
	Renew    func(ctx context.Context) error // fetches the secrets of the client's headers again; it is called after a failure
	Resource *resourcev1.Resource
	Scope    *commonv1.InstrumentationScope
}

var _ Sink = (*Collector)(nil)

// Send implements Sink. Those that a collector refuses of a request that it takes are not told apart.
func (c *Collector) Send(ctx context.Context, records []*ledger.Record) (Sent, error) {
	var all []*logv1.LogRecord
	now, size := time.Now(), 0
	for _, r := range records {
		line := r.Encode()
		if size += len(line); size > mostBytes && len(all) > 0 {
			break
		}
		all = append(all, event(r, string(line), now))
	}
	refused, _, err := c.Client.Logs(ctx, c.Resource, c.Scope, all)
	switch {
	case err == nil:
		return Sent{len(all), int(min(max(refused, 0), int64(len(all))))}, nil
	case otlp.Invalid(err):
		return Sent{}, fmt.Errorf("%w: the collector: %w", ErrRefused, err)
	}
	if again := c.Renew(ctx); again != nil {
		return Sent{}, again
	}
	return Sent{}, &Away{otlp.Wait(err), fmt.Errorf("the collector: %w", err)}
}

// Close implements Sink.
func (c *Collector) Close() error {
	c.Client.Close()
	return nil
}

// EventName is that of the log records.
const EventName = "signalbox.usage"

// event makes a log record: the body is the record whole, as a line of JSON; the attributes are what is asked for most, by the
// names that spans have.
func event(r *ledger.Record, line string, now time.Time) *logv1.LogRecord {
	out := &logv1.LogRecord{
		TimeUnixNano: uint64(r.At.UnixNano()), ObservedTimeUnixNano: uint64(now.UnixNano()), EventName: EventName,
		SeverityNumber: logv1.SeverityNumber_SEVERITY_NUMBER_INFO, SeverityText: "INFO",
		Body: &commonv1.AnyValue{Value: &commonv1.AnyValue_StringValue{StringValue: line}},
	}
	if id, err := hex.DecodeString(r.Result.Trace); err == nil && len(id) == 16 {
		out.TraceId = id
	}
	text := func(name, v string) {
		if v != "" {
			out.Attributes = append(out.Attributes, otlp.Text(name, v))
		}
	}
	number := func(name string, n int64) { out.Attributes = append(out.Attributes, otlp.Int(name, n)) }
	text("signalbox.exchange.id", r.ID)
	number("signalbox.sequence", int64(r.Sequence))
	text("signalbox.cause", r.Cause)
	text("signalbox.organization", r.Organization)
	text("signalbox.team", r.Who.Team)
	text("signalbox.project", r.Who.Project)
	text("signalbox.key", r.Who.Key)
	text("signalbox.key.id", r.Who.KeyID)
	text("signalbox.end_user", r.Who.User)
	text("signalbox.route", r.Asked.Route)
	text("signalbox.dialect", r.Asked.Dialect)
	text("signalbox.path", r.Asked.Path)
	text("signalbox.status", string(r.Result.Status))
	text("error.type", r.Result.Why)
	if r.Result.HTTP != 0 {
		number("http.response.status_code", int64(r.Result.HTTP))
	}
	number("signalbox.attempts", int64(len(r.Attempts)))
	number("signalbox.cost.nano_usd", int64(r.Money.Cost))
	text("gen_ai.request.model", r.Asked.Model)
	var in, answer int64
	for i := range r.Attempts {
		in, answer = in+r.Attempts[i].Units.Prompt(), answer+r.Attempts[i].Units.Answer()
	}
	if n := len(r.Attempts); n > 0 {
		last := &r.Attempts[n-1]
		text("signalbox.provider", last.Provider)
		text("signalbox.region", last.Region)
		text("gen_ai.response.model", last.Model)
		number("gen_ai.usage.input_tokens", in)
		number("gen_ai.usage.output_tokens", answer)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Tags)) {
		text("signalbox.tag."+name, r.Tags[name])
	}
	return out
}
