package extproc

import (
	"encoding/base64"
	"log/slog"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
)

// recording is a stream that an Envoy opened.
type recording struct {
	stage    string // or log
	messages [][]byte
}

// recordings are whole and streamed answers, translated ones, failovers, refusals, and the log entries of all.
func recordings(t testing.TB) (all []recording) {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", "recorded.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		r := recording{stage: path.Dir(f.Name)}
		for line := range strings.Lines(string(f.Data)) {
			b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
			if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			r.messages = append(r.messages, b)
		}
		all = append(all, r)
	}
	if len(all) < 14 {
		t.Fatalf("only %d streams are recorded", len(all))
	}
	return all
}

func read[M proto.Message](t testing.TB, raw [][]byte, empty func() M) []M {
	t.Helper()
	out := make([]M, len(raw))
	for i, b := range raw {
		out[i] = empty()
		if err := proto.Unmarshal(b, out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestRecordedMessagesAreAnsweredAlike plays what a real Envoy sent to the server below grpc-go and to the one
// over it.
func TestRecordedMessagesAreAnsweredAlike(t *testing.T) {
	now := time.Now()
	var seen [2]log
	options := func(i int) exchange.Options {
		return exchange.Options{Now: func() time.Time { return now }, Observer: &seen[i], Hear: -1}
	}
	ours := connect(t, NewServer(newCore(t, options(0)), slog.New(slog.DiscardHandler)))
	g := grpc.NewServer()
	(&oracle{core: newCore(t, options(1)), log: slog.New(slog.DiscardHandler)}).register(g)
	theirs := linkTo(t, g.Serve, g.Stop)
	replies := 0
	for i, r := range recordings(t) {
		if r.stage == "log" {
			ms := read(t, r.messages, func() *accesslogv3.StreamAccessLogsMessage { return new(accesslogv3.StreamAccessLogsMessage) })
			ours.log(t, ms)
			theirs.log(t, ms)
			continue
		}
		ms := read(t, r.messages, func() *extprocv3.ProcessingRequest { return new(extprocv3.ProcessingRequest) })
		a, aerr := ours.play(t, r.stage, ms...)
		b, berr := theirs.play(t, r.stage, ms...)
		if status.Code(aerr) != status.Code(berr) {
			t.Errorf("stream %d (%s) ends in %v, with grpc-go in %v", i, r.stage, aerr, berr)
		}
		if diff := cmp.Diff(a, b, protocmp.Transform(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("stream %d (%s) (-ours +grpc-go):\n%s", i, r.stage, diff)
		}
		replies += len(a)
	}
	if diff := cmp.Diff(seen[0], seen[1], cmp.AllowUnexported(log{}), cmpopts.IgnoreFields(exchange.AttemptSeen{}, "At"), cmpopts.IgnoreFields(exchange.Closed{}, "At")); diff != "" {
		t.Errorf("what is learnt from the logs (-ours +grpc-go):\n%s", diff)
	}
	if replies < 18 || len(seen[0].attempts) < 3 || len(seen[0].closed) < 3 {
		t.Errorf("too little happens: %d replies, %d attempts, %d ends", replies, len(seen[0].attempts), len(seen[0].closed))
	}
}

// log sends messages of a log, and waits until they are taken.
func (l *link) log(t testing.TB, ms []*accesslogv3.StreamAccessLogsMessage) {
	t.Helper()
	st, err := l.logs.StreamAccessLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		if err := st.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
}
