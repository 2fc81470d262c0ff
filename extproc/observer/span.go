package observer

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	commonv1 "go.opentelemetry.io/proto/slim/otlp/common/v1"
	spanv1 "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/telemetry/otlp"
)

// Spans of three kinds: of an exchange that was planned, of one that was not, and of an attempt. What clients are told
// is a server's span, what providers are asked a client's. Attributes are those of OpenTelemetry's conventions for
// generative AI and HTTP; what these have no word for is signalbox.*.
type (
	closed  exchange.Closed
	refusal exchange.Refusal
	attempt exchange.AttemptSeen
)

var (
	_ otlp.Span = closed{}
	_ otlp.Span = refusal{}
	_ otlp.Span = attempt{}
)

// Sizes that spans hold until they are made, roughly: the ticket, and what stands beside it.
const usual = 1 << 10

// Size implements otlp.Span.
func (c closed) Size() int { return usual + c.Said.Size() }

// Size implements otlp.Span.
func (refusal) Size() int { return usual }

// Size implements otlp.Span.
func (attempt) Size() int { return usual }

// Bits of a span's flags beyond those of the trace (opentelemetry/proto/trace/v1/trace.proto).
const (
	sampled     = 1
	hasIsRemote = 0x100
	isRemote    = 0x200
)

// begin makes an exchange's span.
func begin(t *ticket.Ticket, began time.Time, took time.Duration) *spanv1.Span {
	trace, id, parent := t.Trace.IDs()
	s := &spanv1.Span{
		TraceId: trace, SpanId: id, ParentSpanId: parent, Kind: spanv1.Span_SPAN_KIND_SERVER, Flags: hasIsRemote,
		StartTimeUnixNano: uint64(began.UnixNano()), EndTimeUnixNano: uint64(began.Add(max(took, 0)).UnixNano()),
	}
	if parent != nil {
		s.Flags |= isRemote
	}
	if t.Trace.Sampled() {
		s.Flags |= sampled
	}
	what := operation(t.Op, t.Dialect)
	if s.Name = what; t.Route != "" { // a model that no route takes may be any text, and names are few
		s.Name = named(what, t.Model)
	}
	s.Attributes = append(s.Attributes,
		otlp.Text("gen_ai.operation.name", what),
		otlp.Text("http.request.method", cmp.Or(t.Method, http.MethodPost)),
		otlp.Text("signalbox.exchange.id", t.ID),
		otlp.Text("signalbox.dialect", string(t.Dialect)),
	)
	if t.Model != "" {
		s.Attributes = append(s.Attributes, otlp.Text("gen_ai.request.model", t.Model))
	}
	if t.Stream {
		s.Attributes = append(s.Attributes, otlp.Bool("gen_ai.request.stream", true))
	}
	if path, _, _ := strings.Cut(t.Path, "?"); path != "" {
		s.Attributes = append(s.Attributes, otlp.Text("url.path", path))
	}
	if t.Waited > 0 {
		s.Attributes = append(s.Attributes, otlp.Double("signalbox.queue.waited", t.Waited.D().Seconds()))
	}
	s.Attributes = append(s.Attributes, owner(t)...)
	for _, n := range slices.Sorted(maps.Keys(t.Tags)) {
		s.Attributes = append(s.Attributes, otlp.Text("signalbox.tag."+n, t.Tags[n]))
	}
	return s
}

// named is the name of a span. One that is not UTF-8, as a model's in a path may be, would have all that is sent with it refused.
func named(what, model string) string {
	return strings.ToValidUTF8(strings.TrimSpace(what+" "+model), "\ufffd")
}

// owner says whom the exchange is charged to, as far as the client told who it is.
func owner(t *ticket.Ticket) (as []*commonv1.KeyValue) {
	if t.Who == "" {
		return nil
	}
	who, key := t.Owner()
	for _, a := range []struct{ name, value string }{
		{"signalbox.organization", who.Organization}, {"signalbox.team", who.Team}, {"signalbox.project", who.Project},
		{"signalbox.key", t.Who}, {"signalbox.key.id", key}, {"signalbox.end_user", t.By.User},
	} {
		if a.value != "" {
			as = append(as, otlp.Text(a.name, a.value))
		}
	}
	return as
}

// status adds the status of an answer.
func status(s *spanv1.Span, code int) {
	if code > 0 {
		s.Attributes = append(s.Attributes, otlp.Int("http.response.status_code", int64(code)))
	}
}

// fail says that a span is that of a failure.
func fail(s *spanv1.Span, class, why string, fault bool) {
	s.Attributes = append(s.Attributes, otlp.Text("error.type", class))
	if fault {
		s.Status = &spanv1.Status{Code: spanv1.Status_STATUS_CODE_ERROR, Message: strings.ToValidUTF8(why, "\ufffd")}
	}
}

// Span implements otlp.Span.
func (r refusal) Span() *spanv1.Span {
	s := begin(r.Ticket, r.Began, r.Took)
	status(s, r.Status)
	outcome := "answered"
	if r.Again != nil {
		outcome = "replayed"
	}
	if r.Code != llm.CodeNone {
		outcome = "refused"
		fail(s, r.Code.String(), r.Code.String(), r.Status >= http.StatusInternalServerError) // the rest is the client's fault
	}
	s.Attributes = append(s.Attributes, otlp.Text("signalbox.outcome", outcome))
	return s
}

// Span implements otlp.Span.
func (c closed) Span() *spanv1.Span {
	t := c.Ticket
	s := begin(t, c.Began, c.Took)
	status(s, c.Status)
	s.Attributes = append(s.Attributes,
		otlp.Text("signalbox.route", t.Route),
		otlp.Text("signalbox.outcome", c.Ending),
		otlp.Text("signalbox.provider", c.Last.Provider),
		otlp.Text("signalbox.target", c.Last.Target()),
		otlp.Int("signalbox.attempts", int64(c.Tries)),
		otlp.Text("signalbox.config.version", t.Version),
	)
	if t.Rules.Arm != "" {
		s.Attributes = append(s.Attributes, otlp.Text("signalbox.experiment.arm", t.Rules.Arm))
	}
	if t.By.Shadows != "" {
		s.Attributes = append(s.Attributes, otlp.Text("signalbox.experiment.shadows", t.By.Shadows))
	}
	if c.At != nil {
		s.Attributes = append(s.Attributes, otlp.Text("gen_ai.provider.name", system(c.At.Kind)))
	}
	if c.Model != "" {
		s.Attributes = append(s.Attributes, otlp.Text("gen_ai.response.model", c.Model))
	}
	if t.Stream && c.First > 0 {
		s.Attributes = append(s.Attributes, otlp.Double("gen_ai.response.time_to_first_chunk", c.First.Seconds()))
	}
	s.Attributes = append(s.Attributes, used(&c)...)
	s.Attributes = append(s.Attributes, said(&c)...)
	switch c.Ending {
	case exchange.EndedWell.String():
	case exchange.EndedByClient.String(), exchange.EndedUnseen.String():
		fail(s, c.Ending, "", false)
	default:
		class := c.Ending
		if class == "error" && c.Status >= http.StatusBadRequest {
			class = strconv.Itoa(c.Status)
		}
		fail(s, class, c.Why, c.Status < http.StatusBadRequest || c.Status >= http.StatusInternalServerError)
	}
	return s
}

// used are the attributes of usage, as far as it is known.
func used(c *closed) []*commonv1.KeyValue {
	if c.Source == exchange.FromNobody {
		return nil
	}
	as := []*commonv1.KeyValue{otlp.Text("signalbox.usage.source", string(c.Source))}
	u := &c.Usage
	for _, x := range []struct {
		name string
		n    llm.Count
	}{
		{"gen_ai.usage.input_tokens", u.Input},
		{"gen_ai.usage.output_tokens", u.Output},
		{"gen_ai.usage.cache_read.input_tokens", u.Cached},
		{"gen_ai.usage.cache_creation.input_tokens", u.CacheWrite},
		{"gen_ai.usage.reasoning.output_tokens", u.Reasoning},
		{"gen_ai.usage.audio.input_tokens", u.AudioIn},
		{"gen_ai.usage.audio.output_tokens", u.AudioOut},
	} {
		if x.n.Known {
			as = append(as, otlp.Int(x.name, x.n.N))
		}
	}
	if c.Partial {
		as = append(as, otlp.Bool("signalbox.usage.partial", true))
	}
	return as
}

// said are the attributes of content, where that is kept.
func said(c *closed) (as []*commonv1.KeyValue) {
	in, system := c.Said.Input()
	out, cut := c.Said.Output()
	for _, a := range []struct{ name, value string }{{"gen_ai.input.messages", in}, {"gen_ai.system_instructions", system}, {"gen_ai.output.messages", out}} {
		if a.value != "" {
			as = append(as, otlp.Text(a.name, a.value))
		}
	}
	if cut {
		as = append(as, otlp.Bool("signalbox.output.cut", true))
	}
	return as
}

// Span implements otlp.Span.
func (a attempt) Span() *spanv1.Span {
	t := a.Ticket
	trace, above, _ := t.Trace.IDs()
	began := a.Began
	if began.IsZero() {
		began = time.UnixMilli(t.Began)
	}
	l := t.Steps[a.N-1]
	what := operation(t.Op, t.Dialect)
	s := &spanv1.Span{
		TraceId: trace, SpanId: t.Trace.Attempt(a.N), ParentSpanId: above, Kind: spanv1.Span_SPAN_KIND_CLIENT, Flags: hasIsRemote,
		Name:              named(what, l.Model),
		StartTimeUnixNano: uint64(began.UnixNano()), EndTimeUnixNano: uint64(began.Add(max(a.Took, 0)).UnixNano()),
		Attributes: []*commonv1.KeyValue{
			otlp.Text("gen_ai.operation.name", what),
			otlp.Text("gen_ai.request.model", l.Model),
			otlp.Text("signalbox.exchange.id", t.ID),
			otlp.Text("signalbox.provider", l.Provider),
			otlp.Int("signalbox.attempt", int64(a.N)),
			otlp.Text("signalbox.path", a.Path.String()),
		},
	}
	if t.Trace.Sampled() {
		s.Flags |= sampled
	}
	if t.Stream {
		s.Attributes = append(s.Attributes, otlp.Bool("gen_ai.request.stream", true))
		if a.First > 0 {
			s.Attributes = append(s.Attributes, otlp.Double("gen_ai.response.time_to_first_chunk", a.First.Seconds()))
		}
	}
	status(s, a.Status)
	s.Attributes = append(s.Attributes, a.where()...)
	if a.Request != "" {
		s.Attributes = append(s.Attributes, otlp.Text("signalbox.provider.request_id", a.Request))
	}
	if a.Code != llm.CodeNone {
		fail(s, a.Code.String(), "", true)
	}
	return s
}

// where says which provider was asked.
func (a attempt) where() []*commonv1.KeyValue {
	p := a.At
	if p == nil {
		return nil
	}
	as := []*commonv1.KeyValue{otlp.Text("gen_ai.provider.name", system(p.Kind))}
	if p.Base != nil {
		port := map[string]int64{"http": 80, "https": 443}[p.Base.Scheme]
		if n, err := strconv.ParseInt(p.Base.Port(), 10, 32); err == nil {
			port = n
		}
		as = append(as, otlp.Text("server.address", p.Base.Hostname()), otlp.Int("server.port", port))
	}
	if p.Region != "" {
		as = append(as, otlp.Text("signalbox.region", p.Region))
	}
	return as
}
