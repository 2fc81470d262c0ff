package extproc

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/providers"
)

var update = flag.Bool("update", false, "rewrite golden files")

type corev3HeaderMap = corev3.HeaderMap

// setHeaders returns the headers that an answer's head gets.
func setHeaders(r *extprocv3.ProcessingResponse) []*corev3.HeaderValue {
	var out []*corev3.HeaderValue
	for _, o := range r.GetResponseHeaders().GetResponse().GetHeaderMutation().GetSetHeaders() {
		out = append(out, o.GetHeader())
	}
	return out
}

// TestRespond holds Envoy's response to each kind of reply against testdata/respond.
func TestRespond(t *testing.T) {
	for _, c := range []struct {
		name  string
		reply exchange.Reply
	}{
		{"pass-request-head", exchange.Reply{To: exchange.ToRequestHead}},
		{"pass-request-body", exchange.Reply{To: exchange.ToRequestBody}},
		{"pass-answer-head", exchange.Reply{To: exchange.ToAnswerHead}},
		{"pass-answer-chunk", exchange.Reply{To: exchange.ToAnswerChunk, Done: true}},
		{"plan", exchange.Reply{
			To: exchange.ToRequestBody, Done: true, Replace: true, Body: []byte(`{"model":"m"}`),
			Set:     []providers.Header{{Name: ":path", Value: "/v1/x"}, {Name: "authorization", Value: "Bearer k"}},
			Remove:  []string{"x-api-key", "cookie"},
			Plan:    &exchange.Routed{Clusters: []string{"a", "b", exchange.ServiceCluster}, Ticket: `{"v":1}`, Dialect: "openai-chat"},
			Attempt: &exchange.Prepared{Length: 13, Target: "a/m"},
		}},
		{"plan-as-it-is", exchange.Reply{
			To: exchange.ToRequestBody, Done: true, Plan: &exchange.Routed{Clusters: []string{"a"}, Ticket: "{}", Dialect: "openai-chat"}, Attempt: &exchange.Prepared{Length: 5}, Limits: []providers.Header{{Name: "requests-limit", Value: "60"}},
		}},
		{"attempt", exchange.Reply{To: exchange.ToRequestBody, Replace: true, Body: []byte("x"), Attempt: &exchange.Prepared{Length: 1}, Set: []providers.Header{{Name: "content-length", Value: "1"}}}},
		{"retry", exchange.Reply{To: exchange.ToAnswerHead, Status: 503, Set: []providers.Header{{Name: "x-signalbox-retry", Value: "1"}}}},
		{"retry-elsewhere", exchange.Reply{To: exchange.ToAnswerHead, Status: 503, Steps: []string{"a", "c", exchange.ServiceCluster}, Order: []int{0, 2, 3}, Set: []providers.Header{{Name: "x-signalbox-retry", Value: "1"}}}},
		{"status-alone", exchange.Reply{To: exchange.ToAnswerHead, Status: 429}},
		{"rewritten-head", exchange.Reply{To: exchange.ToAnswerHead, Remove: []string{"content-length"}, Set: []providers.Header{{Name: "content-type", Value: "text/event-stream"}}}},
		{"rewritten-chunk", exchange.Reply{To: exchange.ToAnswerChunk, Replace: true, Body: []byte("data: x\n\n")}},
		{"cleared-chunk", exchange.Reply{To: exchange.ToAnswerChunk, Replace: true}},
		{"answer", exchange.Reply{To: exchange.ToRequestHead, Done: true, Answer: &exchange.Answer{Status: 401, Body: []byte(`{"error":{}}`), Header: []providers.Header{{Name: "content-type", Value: "application/json"}, {Name: "www-authenticate", Value: "Bearer"}}}}},
		{"answer-with-odd-bytes", exchange.Reply{To: exchange.ToAnswerHead, Answer: &exchange.Answer{Status: 502, Body: []byte("\xff\x00"), Header: []providers.Header{{Name: "x", Value: "\xff"}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := new(extprocv3.ProcessingResponse)
			if err := proto.Unmarshal(encode(&c.reply), got); err != nil {
				t.Fatalf("it cannot be read: %v", err)
			}
			golden(t, filepath.Join("testdata", "respond", c.name+".txtpb"), got, &extprocv3.ProcessingResponse{})
		})
	}
}

// spaces are what prototext writes at random so that nobody relies on its form.
var spaces = regexp.MustCompile(`(?m)^(\s*\w+:)  `)

func golden(t *testing.T, file string, got, want proto.Message) {
	t.Helper()
	if *update {
		b, err := prototext.MarshalOptions{Multiline: true}.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, spaces.ReplaceAll(b, []byte("$1 ")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := prototext.Unmarshal(b, want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, want, protocmp.Transform()); diff != "" {
		t.Errorf("%s (-got +want):\n%s", file, diff)
	}
}

// encode encodes the response to a reply.
func encode(r *exchange.Reply) []byte {
	out, tail := (*response)(r).AppendTo(nil)
	return append(out, tail...)
}

func TestHeaderOf(t *testing.T) {
	m := headerMap("a", "raw")
	m.Headers = append(m.Headers, &corev3.HeaderValue{Key: "b", Value: "plain"}, &corev3.HeaderValue{Key: "a", Value: "lost", RawValue: []byte("twice")})
	want := exchange.Header{{Name: "a", Value: "raw"}, {Name: "b", Value: "plain"}, {Name: "a", Value: "twice"}}
	got, ok := headerOf(string(marshal(t, m)))
	if diff := cmp.Diff(got, want); diff != "" || !ok {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if got, ok := headerOf(""); len(got) != 0 || !ok {
		t.Errorf("no map has headers %v", got)
	}
	if got, ok := headerOf(string(marshal(t, m))[:20]); ok {
		t.Errorf("half a map has headers %v", got)
	}
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPatienceIsNoReply(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 90*time.Second + 250*time.Millisecond, 59 * time.Minute} {
		out, tail := patience(d).AppendTo(nil)
		var got extprocv3.ProcessingResponse
		if err := proto.Unmarshal(append(out, tail...), &got); err != nil {
			t.Fatal(err)
		}
		if got.GetResponse() != nil || got.GetOverrideMessageTimeout().AsDuration() != d+time.Second {
			t.Errorf("%s: got %v", d, &got)
		}
	}
}
