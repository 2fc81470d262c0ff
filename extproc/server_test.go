package extproc

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
)

const sseType = "text/event-stream"

func sse(delta string) string {
	return `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":` + delta + `,"finish_reason":null}]}` + "\n\n"
}

func TestStreams(t *testing.T) {
	type message = *extprocv3.ProcessingRequest
	for _, c := range []struct {
		name  string
		stage string
		in    func(ticket string) []message
		want  []string
		code  codes.Code
	}{
		{"the plan stage answers head and body and no more", StagePlan, func(string) []message { return []message{planHead(), requestBody(goodBody), requestBody("more")} }, []string{"request head", "request body"}, codes.OK},
		{"a refusal ends the plan stage at the head", StagePlan, func(string) []message {
			return []message{requestHead(true, ":method", "GET", ":path", "/"), planHead()}
		}, []string{"immediate"}, codes.OK},
		{"a client that leaves before its body ends the plan stage", StagePlan, func(string) []message { return []message{planHead()} }, []string{"request head"}, codes.OK},
		{"an answer in the plan stage", StagePlan, func(string) []message { return []message{answerHead(false, ":status", "200")} }, nil, codes.InvalidArgument},
		{"a body before its head", StagePlan, func(string) []message { return []message{requestBody(goodBody)} }, nil, codes.InvalidArgument},
		{"a head twice", StagePlan, func(string) []message { return []message{planHead(), planHead()} }, []string{"request head"}, codes.InvalidArgument},
		{"an unknown stage", "nothing", func(string) []message { return []message{planHead()} }, nil, codes.InvalidArgument},
		{"no stage", "", func(string) []message { return nil }, nil, codes.InvalidArgument},
		{"the watch stage lets the request pass and judges the answer", StageWatch, func(k string) []message {
			return []message{attemptHead(k, 1, "openai"), answerHead(false, ":status", "200", "content-type", sseType), answerBody(sse(`{"role":"assistant"}`), false), answerBody(sse(`{"content":"x"}`), false)}
		}, []string{"request head", "answer head", "answer chunk", "answer chunk"}, codes.OK},
		{"the work stage writes the request", StageWork, func(k string) []message { return []message{attemptHead(k, 2, "anthropic"), requestBody(goodBody)} }, []string{"request head", "request body"}, codes.OK},
		{"a damaged ticket", StageWork, func(k string) []message { return []message{attemptHead(k[1:], 2, "anthropic")} }, []string{"immediate"}, codes.OK},
		{"no ticket", StageWatch, func(string) []message { return []message{requestHead(false)} }, []string{"immediate"}, codes.OK},
		{"an attempt without a body", StageWork, func(k string) []message {
			m := attemptHead(k, 2, "anthropic")
			m.GetRequestHeaders().EndOfStream = true
			return []message{m}
		}, nil, codes.Unknown},
		{"an attempt that begins with its answer", StageWatch, func(string) []message { return []message{answerHead(false, ":status", "200")} }, nil, codes.InvalidArgument},
		{"an answer's body before its head", StageWatch, func(k string) []message { return []message{attemptHead(k, 1, "openai"), answerBody("x", false)} }, []string{"request head"}, codes.InvalidArgument},
		{"an answer's head twice", StageWatch, func(k string) []message {
			return []message{attemptHead(k, 1, "openai"), answerHead(false, ":status", "200", "content-type", sseType), answerHead(false, ":status", "200", "content-type", sseType)}
		}, []string{"request head"}, codes.InvalidArgument},
		{"a request's head twice", StageWatch, func(k string) []message { return []message{attemptHead(k, 1, "openai"), attemptHead(k, 1, "openai")} }, []string{"request head"}, codes.InvalidArgument},
		{"a status that is no number", StageWatch, func(k string) []message {
			return []message{attemptHead(k, 1, "openai"), answerHead(true, ":status", "abc", "content-type", sseType)}
		}, []string{"request head", "answer head"}, codes.OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, &log{})
			out, err := process(t, s, c.stage, c.in(plan(t, s))...)
			if status.Code(err) != c.code {
				t.Errorf("got %v, want %v", err, c.code)
			}
			if diff := cmp.Diff(kindsOf(out), c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestTheLastAttemptIsAnsweredByUs(t *testing.T) {
	s := newServer(t, &log{})
	k := plan(t, s)
	for _, cluster := range []string{"openai", "anthropic"} {
		s.core.AttemptLogged(exchange.AttemptEntry{ID: "request-1", Cluster: cluster, Status: 503})
	}
	out, err := process(t, s, StageWork, attemptHead(k, 3, exchange.ServiceCluster))
	if err != nil || len(out) != 1 {
		t.Fatalf("%v, %v", kindsOf(out), err)
	}
	if r := out[0].GetImmediateResponse(); r.GetStatus().GetCode() != 503 {
		t.Errorf("got %v", r)
	}
}

// TestADeadlineExpiresOnTheStream lets no message come: the held head is answered when the deadline is due.
func TestADeadlineExpiresOnTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, &log{})
		k := plan(t, s)
		st, err := connect(t, s).processor.Process(metadata.NewOutgoingContext(t.Context(), metadata.Pairs(StageHeader, StageWatch)))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for _, m := range []*extprocv3.ProcessingRequest{attemptHead(k, 1, "openai"), answerHead(false, ":status", "200", "content-type", sseType)} {
			if err := st.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		out, err := drain(st)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("expired after %v", took)
		}
		if diff := cmp.Diff(kindsOf(out), []string{"request head", "answer head"}); diff != "" {
			t.Error(diff)
		}
		h := oracleHeader(&corev3HeaderMap{Headers: setHeaders(out[1])})
		if h.Get("x-signalbox-retry") != "1" || h.Get(":status") != "503" {
			t.Errorf("the answer's head does not ask for the next target: %v", h)
		}
	})
}

// TestAnExchangeIsGivenUpWithItsEnvoy, and not before the connection that it came by has ended, too.
func TestAnExchangeIsGivenUpWithItsEnvoy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &log{}
		s := newServer(t, seen)
		l := connect(t, s)
		if out, err := l.play(t, StagePlan, planHead(), requestBody(goodBody)); err != nil || len(out) != 2 {
			t.Fatalf("%d replies, %v", len(out), err)
		}
		time.Sleep(time.Millisecond)
		s.core.Died()
		time.Sleep(2 * time.Second)
		if n := s.core.Sweep(); n != 0 || s.core.Live() != 1 {
			t.Errorf("%d were given up while their connection is open, and %d live", n, s.core.Live())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := s.core.Sweep(); n != 1 || s.core.Live() != 0 || len(seen.closed) != 1 || seen.closed[0].Ending != exchange.EndedUnseen.String() {
			t.Errorf("%d were given up, %d live, and %+v ended", n, s.core.Live(), seen.closed)
		}
	})
}

// late takes its time to see what is planned.
type late struct{ log }

func (l *late) Planned(p exchange.Planned) {
	time.Sleep(2 * time.Second)
	l.log.Planned(p)
}

// TestAClientThatLeavesWhileItIsPlanned has no exchange that nobody ends: Envoy knows nothing of its plan.
func TestAClientThatLeavesWhileItIsPlanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &late{}
		s := newServer(t, seen)
		ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(t.Context(), metadata.Pairs(StageHeader, StagePlan)), time.Second)
		defer cancel()
		st, err := connect(t, s).processor.Process(ctx)
		if err != nil {
			t.Fatal(err)
		}
		long := strings.Replace(goodBody, "hi", strings.Repeat("hi ", large), 1) // it gets a goroutine of its own
		for _, m := range []*extprocv3.ProcessingRequest{planHead(), requestBody(long)} {
			if err := st.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(500 * time.Millisecond)
		if n := s.core.Planning(); n != 1 {
			t.Errorf("%d are planned, want 1", n)
		}
		if out, err := drain(st); len(out) != 1 || status.Code(err) != codes.DeadlineExceeded {
			t.Fatalf("got %v, %v", kindsOf(out), err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if seen.planned != 1 || s.core.Live() != 0 || s.core.Planning() != 0 {
			t.Errorf("%d were planned, %d live, %d are planned still", seen.planned, s.core.Live(), s.core.Planning())
		}
		if len(seen.closed) != 1 || seen.closed[0].Ending != exchange.EndedByClient.String() {
			t.Errorf("got %+v", seen.closed)
		}
	})
}

// TestAStreamThatIsCancelled ends without an error, and leaves no goroutine (synctest would not end).
func TestAStreamThatIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, &log{})
		k := plan(t, s)
		ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(t.Context(), metadata.Pairs(StageHeader, StageWatch)), time.Second)
		defer cancel()
		st, err := connect(t, s).processor.Process(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Send(attemptHead(k, 1, "openai")); err != nil {
			t.Fatal(err)
		}
		if out, err := drain(st); len(out) != 1 || status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v, %v", kindsOf(out), err)
		}
	})
}

// FuzzProcess plays messages of any kind in any order on the streams of a filter.
func FuzzProcess(f *testing.F) {
	f.Add(byte(0), []byte{0, 1})
	f.Add(byte(1), []byte{2, 4, 6, 7})
	f.Add(byte(2), []byte{3, 1, 4, 8, 9})
	f.Add(byte(1), []byte{2, 5, 6, 6, 7, 7})
	f.Add(byte(2), []byte{2, 1, 1, 1})
	f.Add(byte(3), []byte{0})
	f.Add(byte(1), []byte{10, 11, 12})
	f.Fuzz(func(t *testing.T, stage byte, script []byte) {
		if len(script) > 100 {
			return
		}
		seen := &log{}
		s := newServer(t, seen)
		ticket := plan(t, s)
		var in []*extprocv3.ProcessingRequest
		for _, b := range script {
			in = append(in, fuzzed(b, ticket))
		}
		sent := len(in)
		out, err := process(t, s, []string{StagePlan, StageWatch, StageWork, "other"}[stage%4], in...)
		if len(out) > sent {
			t.Fatalf("%d replies to %d messages", len(out), sent)
		}
		inOrder(t, in, out, err)
		s.core.RequestLogged(exchange.Outcome{Ticket: ticket, Status: 200})
		if len(seen.closed) != 1 {
			t.Fatalf("closed %d times", len(seen.closed))
		}
	})
}

func fuzzed(b byte, ticket string) *extprocv3.ProcessingRequest {
	end := b&0x80 != 0
	switch b & 0x0f {
	case 0:
		return planHead()
	case 1:
		return requestBody(goodBody)
	case 2:
		return attemptHead(ticket, 1, "openai")
	case 3:
		return attemptHead(ticket, 2, "anthropic")
	case 4:
		return answerHead(end, ":status", "200", "content-type", sseType)
	case 5:
		return answerHead(end, ":status", "429", "retry-after", "1")
	case 6:
		return answerBody(sse(`{"role":"assistant"}`), end)
	case 7:
		return answerBody(sse(`{"content":"x"}`), end)
	case 8:
		return answerBody("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n", end)
	case 9:
		return answerBody("", true)
	case 10:
		return &extprocv3.ProcessingRequest{}
	case 11:
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseTrailers{}}
	case 12:
		return requestHead(end)
	case 13:
		return attemptHead(ticket, int(b>>4), exchange.ServiceCluster+"x")
	case 14:
		return answerHead(end)
	}
	return answerBody("not an event\n\n", end)
}

// inOrder checks that every reply is to the next message that it can be to. An immediate response ends all.
func inOrder(t *testing.T, in []*extprocv3.ProcessingRequest, out []*extprocv3.ProcessingResponse, err error) {
	t.Helper()
	for i, r := range out {
		if kindOf(r) == "immediate" {
			if i != len(out)-1 || err != nil {
				t.Fatalf("reply %d of %d is immediate, and the stream ends in %v", i, len(out), err)
			}
			return
		}
		want := map[bool]string{}
		switch in[i].GetRequest().(type) {
		case *extprocv3.ProcessingRequest_RequestHeaders:
			want[true] = "request head"
		case *extprocv3.ProcessingRequest_RequestBody:
			want[true] = "request body"
		case *extprocv3.ProcessingRequest_ResponseHeaders:
			want[true] = "answer head"
		case *extprocv3.ProcessingRequest_ResponseBody:
			want[true] = "answer chunk"
		}
		if kindOf(r) != want[true] {
			t.Fatalf("reply %d is to an %s, the message is an %s: %v", i, kindOf(r), want[true], kindsOf(out))
		}
	}
}
