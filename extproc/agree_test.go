package extproc

import (
	"log/slog"
	"math"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	logv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	aiv3 "github.com/envoyproxy/go-control-plane/envoy/data/ai/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/providers"
)

// both are the two servers, each with exchanges of its own and the same clock.
func both(t testing.TB) (ours, theirs *link) {
	t.Helper()
	now := time.Now() // deadlines are kept by the system's clock, and are far off
	o := exchange.Options{Now: func() time.Time { return now }}
	ours = connect(t, NewServer(newCore(t, o), slog.New(slog.DiscardHandler)))
	g := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	(&oracle{core: newCore(t, o), log: slog.New(slog.DiscardHandler)}).register(g)
	return ours, linkTo(t, g.Serve, g.Stop)
}

// TestBothServersAnswerAlike plays the same messages to the server below grpc-go and to the one over it, and
// wants the same answers and the same end.
func TestBothServersAnswerAlike(t *testing.T) {
	ours, theirs := both(t)
	held := func(l *link) string {
		out, err := l.play(t, StagePlan, planHead(), requestBody(goodBody))
		if err != nil || len(out) != 2 {
			t.Fatalf("%d replies, %v", len(out), err)
		}
		return out[1].GetDynamicMetadata().GetFields()[NamespaceTicket].GetStructValue().GetFields()["ticket"].GetStringValue()
	}
	ticket := held(ours)
	if other := held(theirs); other != ticket {
		t.Fatalf("tickets differ:\n%s\n%s", ticket, other)
	}
	alike := func(t testing.TB, stage string, in ...*extprocv3.ProcessingRequest) {
		t.Helper()
		a, aerr := ours.play(t, stage, in...)
		b, berr := theirs.play(t, stage, in...)
		if status.Code(aerr) != status.Code(berr) {
			t.Errorf("the stream ends in %v, with grpc-go in %v", aerr, berr)
		}
		if diff := cmp.Diff(a, b, protocmp.Transform(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-ours +grpc-go):\n%s", diff)
		}
	}
	large := `{"model":"m","stream":true,"messages":[{"role":"user","content":"` + string(make200K()) + `"}]}`
	alike(t, StagePlan, requestHead(false, ":method", "POST", ":path", "/v1/chat/completions", "content-type", "application/json", "x-request-id", "request-2"), requestBody(large))
	alike(t, StageWork, attemptHead(ticket, 2, "anthropic"), requestBody(large))
	alike(t, StageWork, attemptHead(ticket, 7, "nobody"))
	alike(t, StagePlan, requestHead(true, ":method", "GET", ":path", "/v1/models"))
	alike(t, "", planHead())
	rapid.Check(t, func(rt *rapid.T) {
		var in []*extprocv3.ProcessingRequest
		for _, b := range rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(rt, "script") {
			in = append(in, fuzzed(b, ticket))
		}
		// The plan stage mints ids where a message is played again: it is compared above.
		alike(t, rapid.SampledFrom([]string{StageWatch, StageWork, "other"}).Draw(rt, "stage"), in...)
		if t.Failed() {
			rt.Fatal("they differ")
		}
	})
}

func make200K() []byte {
	b := make([]byte, 200<<10)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}

// text draws a string that may stand in a message.
func text(t *rapid.T, name string) string { return rapid.StringN(0, 12, 40).Draw(t, name) }

func drawStruct(t *rapid.T) *structpb.Struct {
	s := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		name := rapid.SampledFrom([]string{"ticket", "xds.cluster_name", "upstream.request_attempt_count", "other"}).Draw(t, "name")
		switch rapid.IntRange(0, 4).Draw(t, "type") {
		case 0:
			s.Fields[name] = structpb.NewStringValue(text(t, "string"))
		case 1:
			s.Fields[name] = structpb.NewNumberValue(float64(rapid.IntRange(0, 100).Draw(t, "number")))
		case 2:
			s.Fields[name] = structpb.NewNullValue()
		case 3:
			s.Fields[name] = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"ticket": structpb.NewStringValue("inner")}})
		case 4:
			s.Fields[name] = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewBoolValue(true)}})
		}
	}
	return s
}

func drawMetadata(t *rapid.T) *corev3.Metadata {
	m := &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{}}
	for _, n := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{NamespaceTicket, NamespacePlan, "other"}), rapid.ID[string]).Draw(t, "namespaces") {
		m.FilterMetadata[n] = drawStruct(t)
	}
	return m
}

func drawHeaders(t *rapid.T) *corev3.HeaderMap {
	m := &corev3.HeaderMap{}
	for range rapid.IntRange(0, 30).Draw(t, "headers") {
		h := &corev3.HeaderValue{Key: text(t, "name")}
		if rapid.Bool().Draw(t, "raw") {
			h.RawValue = rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "value")
		} else {
			h.Value = text(t, "value")
		}
		m.Headers = append(m.Headers, h)
	}
	return m
}

// TestRequestsAreReadAsTheGeneratedTypesReadThem holds reading by field against the generated types.
func TestRequestsAreReadAsTheGeneratedTypesReadThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		end := rapid.Bool().Draw(t, "end")
		var m *extprocv3.ProcessingRequest
		body := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body")
		want := rapid.SampledFrom([]kind{aboutRequestHead, aboutRequestBody, aboutAnswerHead, aboutAnswerChunk, aboutTrailers, aboutNothing}).Draw(t, "kind")
		switch want {
		case aboutRequestHead:
			m = &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{Headers: drawHeaders(t), EndOfStream: end}}}
		case aboutAnswerHead:
			m = &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{Headers: drawHeaders(t), EndOfStream: end}}}
		case aboutRequestBody:
			m = requestBody(string(body))
			m.GetRequestBody().EndOfStream = end
		case aboutAnswerChunk:
			m = answerBody(string(body), end)
		case aboutTrailers:
			m = &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: &extprocv3.HttpTrailers{Trailers: drawHeaders(t)}}}
		default:
			m = &extprocv3.ProcessingRequest{}
		}
		m.MetadataContext = drawMetadata(t)
		m.Attributes = map[string]*structpb.Struct{"envoy.filters.http.ext_proc": drawStruct(t), "other": drawStruct(t)}
		m.ObservabilityMode = rapid.Bool().Draw(t, "observability")
		m.ProtocolConfig = &extprocv3.ProtocolConfiguration{SendBodyWithoutWaitingForHeaderResponse: true}
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		r, ok := readRequest(b)
		if !ok || r.kind != want {
			t.Fatalf("got %v %v, want %v", r.kind, ok, want)
		}
		at := m.GetAttributes()["envoy.filters.http.ext_proc"].GetFields()
		n, cluster := r.whither()
		if w := int(at["upstream.request_attempt_count"].GetNumberValue()); n != w {
			t.Errorf("attempt: got %d, want %d", n, w)
		}
		if w := at["xds.cluster_name"].GetStringValue(); cluster != w {
			t.Errorf("cluster: got %q, want %q", cluster, w)
		}
		if got, want := r.ticket(), m.GetMetadataContext().GetFilterMetadata()[NamespaceTicket].GetFields()["ticket"].GetStringValue(); got != want {
			t.Errorf("ticket: got %q, want %q", got, want)
		}
		switch want {
		case aboutRequestHead, aboutAnswerHead:
			hs := m.GetRequestHeaders()
			if want == aboutAnswerHead {
				hs = m.GetResponseHeaders()
			}
			h, e, ok := r.head()
			if diff := cmp.Diff(h, oracleHeader(hs.GetHeaders()), cmpopts.EquateEmpty()); diff != "" || e != end || !ok {
				t.Errorf("end %v, %v, (-got +want):\n%s", e, ok, diff)
			}
		case aboutRequestBody, aboutAnswerChunk:
			if got, e, ok := r.body(); string(got) != string(body) || e != end || !ok {
				t.Errorf("got %q %v %v, want %q %v", got, e, ok, body, end)
			}
		}
		cut := b[:rapid.IntRange(0, len(b)).Draw(t, "cut")] // damaged: whatever it is, it must not panic
		if r, ok := readRequest(cut); ok {
			r.head()
			r.body()
		}
	})
}

func drawDuration(t *rapid.T, name string) *durationpb.Duration {
	if rapid.Bool().Draw(t, "no "+name) {
		return nil
	}
	return durationpb.New(time.Duration(rapid.Int64Range(0, math.MaxInt32*int64(time.Second)).Draw(t, name)))
}

func drawTime(t *rapid.T) *timestamppb.Timestamp {
	if rapid.Bool().Draw(t, "no start") {
		return nil
	}
	return timestamppb.New(time.Unix(0, rapid.Int64Range(0, math.MaxInt32*int64(time.Second)).Draw(t, "start")))
}

// TestEntriesAreReadAsTheGeneratedTypesReadThem holds reading log entries by field against the generated types.
func TestEntriesAreReadAsTheGeneratedTypesReadThem(t *testing.T) {
	count := func(t *rapid.T, name string) *wrapperspb.UInt64Value {
		if rapid.Bool().Draw(t, "no "+name) {
			return nil
		}
		return wrapperspb.UInt64(rapid.Uint64().Draw(t, name))
	}
	rapid.Check(t, func(t *rapid.T) {
		c := &logv3.AccessLogCommon{
			UpstreamCluster: text(t, "cluster"), UpstreamTransportFailureReason: text(t, "failure"), RouteName: text(t, "route"),
			StartTime: drawTime(t), Duration: drawDuration(t, "duration"), TimeToFirstUpstreamTxByte: drawDuration(t, "sent"), TimeToFirstUpstreamRxByte: drawDuration(t, "first"),
			TimeToLastUpstreamRxByte: drawDuration(t, "last"), TimeToFirstDownstreamTxByte: drawDuration(t, "down"),
			UpstreamRequestAttemptCount: rapid.Uint32Range(0, 9).Draw(t, "tries"), Metadata: drawMetadata(t),
			ResponseFlags: &logv3.ResponseFlags{
				UpstreamRemoteReset: rapid.Bool().Draw(t, "reset"), NoRouteFound: rapid.Bool().Draw(t, "route"),
				DownstreamConnectionTermination: rapid.Bool().Draw(t, "client"), DurationTimeout: rapid.Bool().Draw(t, "timeout"), UpstreamOverflow: rapid.Bool().Draw(t, "overflow"),
			},
		}
		if rapid.Bool().Draw(t, "usage") {
			u, err := anypb.New(&aiv3.TokenUsage{
				Model: text(t, "model"), InputTokens: count(t, "in"), OutputTokens: count(t, "out"), TotalTokens: count(t, "total"),
				InputTokenDetails:  &aiv3.InputTokenDetails{CachedTokens: count(t, "cached"), CacheCreationTokens: count(t, "created")},
				OutputTokenDetails: &aiv3.OutputTokenDetails{ReasoningTokens: count(t, "reasoning")},
				ExtractionStatus:   aiv3.TokenUsage_ExtractionStatus(rapid.Int32Range(0, 3).Draw(t, "status")),
			})
			if err != nil {
				t.Fatal(err)
			}
			c.Metadata.TypedFilterMetadata = map[string]*anypb.Any{namespaceUsage: u}
		}
		e := &logv3.HTTPAccessLogEntry{
			CommonProperties: c,
			Request:          &logv3.HTTPRequestProperties{Path: text(t, "path"), RequestHeaders: map[string]string{"x-request-id": text(t, "id"), "other": "x"}},
			Response: &logv3.HTTPResponseProperties{
				ResponseCode: wrapperspb.UInt32(rapid.Uint32Range(0, 600).Draw(t, "code")), ResponseBodyBytes: rapid.Uint64().Draw(t, "bytes"),
				ResponseCodeDetails: text(t, "details"), ResponseHeaders: map[string]string{"retry-after": text(t, "after"), "request-id": text(t, "request")},
			},
		}
		b, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		anyOrder := cmpopts.SortSlices(func(a, b providers.Header) bool { return a.Name < b.Name })
		if diff := cmp.Diff(outcome(b), oracleOutcome(e), anyOrder); diff != "" {
			t.Errorf("a request's (-got +want):\n%s", diff)
		}
		if diff := cmp.Diff(attemptEntry(b), oracleAttemptEntry(e), anyOrder); diff != "" {
			t.Errorf("an attempt's (-got +want):\n%s", diff)
		}
		cut := b[:rapid.IntRange(0, len(b)).Draw(t, "cut")]
		outcome(cut)
		attemptEntry(cut)
	})
}

// TestResponsesAreReadByTheGeneratedTypesAsTheyWrite holds what is written by hand against what the generated types would
// say.
func TestResponsesAreReadByTheGeneratedTypesAsTheyWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z:-]{1,20}`)
		header := rapid.Custom(func(t *rapid.T) providers.Header {
			return providers.Header{Name: name.Draw(t, "name"), Value: rapid.StringN(0, 100, 200).Draw(t, "value")}
		})
		r := &exchange.Reply{
			To:  exchange.To(rapid.IntRange(0, 3).Draw(t, "to")),
			Set: rapid.SliceOfN(header, 0, 9).Draw(t, "set"), Remove: rapid.SliceOfN(name, 0, 5).Draw(t, "remove"),
			Status: rapid.SampledFrom([]int{0, 200, 503}).Draw(t, "status"), Replace: rapid.Bool().Draw(t, "replace"),
			Body: rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "body"),
		}
		if rapid.Bool().Draw(t, "plan") {
			r.Plan = &exchange.Routed{Clusters: rapid.SliceOfN(name, 1, 9).Draw(t, "clusters"), Ticket: rapid.StringN(0, 400, 900).Draw(t, "ticket"), Dialect: "openai-chat"}
		}
		if r.Plan == nil && rapid.Bool().Draw(t, "steps") {
			r.Steps = rapid.SliceOfN(name, 1, 9).Draw(t, "clusters")
			for i := range r.Steps {
				r.Order = append(r.Order, 2*i)
			}
		}
		if rapid.Bool().Draw(t, "attempt") {
			r.Attempt = &exchange.Prepared{Length: rapid.IntRange(0, 1<<30).Draw(t, "length"), Target: name.Draw(t, "target"), Number: rapid.IntRange(1, 2).Draw(t, "number"), Losses: rapid.SampledFrom([]string{"", "seed"}).Draw(t, "losses"), Tokens: rapid.SampledFrom([]string{"", "13;method=exact"}).Draw(t, "tokens")}
		}
		if r.Plan != nil {
			r.Limits = rapid.SliceOfNDistinct(header, 0, 3, func(h providers.Header) string { return h.Name }).Draw(t, "limits")
		}
		if rapid.IntRange(0, 4).Draw(t, "answer") == 0 {
			r.Answer = &exchange.Answer{Status: rapid.IntRange(100, 599).Draw(t, "status"), Header: r.Set, Body: r.Body}
		}
		got := new(extprocv3.ProcessingResponse)
		if err := proto.Unmarshal(encode(r), got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, oracleRespond(r), protocmp.Transform()); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
}
