package extproc

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/metadata"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/providers/all"
)

// slow is a store elsewhere, which takes a second.
type slow struct{ *memory.Store }

func (s slow) Reserve(ctx context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	time.Sleep(time.Second)
	return s.Store.Reserve(ctx, r)
}

// one is a budget for everybody.
type one struct{ of *quota.Budget }

func (l one) Find(dst []*quota.Budget, _ *metering.Party, _, _ string, _ []string) []*quota.Budget {
	return append(dst, l.of)
}

func (l one) Budget(string) *quota.Budget { return l.of }

// TestAClientThatLeavesWhileItsRequestWithoutABodyIsPlanned: such a request is planned when its head has come.
func TestAClientThatLeavesWhileItsRequestWithoutABodyIsPlanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &log{}
		s := newServer(t, seen)
		parallel := &quota.Budget{ID: "parallel", Unit: quota.Parallel, Limit: 1, Window: window.Window{Kind: window.Gauge}}
		snapshot := *s.core.Snapshot()
		snapshot.Slow, snapshot.Meter, snapshot.Limits = true, metering.New(metering.Params{Store: slow{memory.New(memory.Params{})}}), one{parallel}
		snapshot.Servers = all.Servers()
		s.core.Swap(&snapshot)
		ctx, leave := context.WithCancel(metadata.NewOutgoingContext(t.Context(), metadata.Pairs(StageHeader, StagePlan)))
		defer leave()
		st, err := connect(t, s).processor.Process(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Send(requestHead(true, ":method", "GET", ":path", "/v1/files", "x-request-id", "request-1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second / 2)
		leave()
		time.Sleep(time.Second)
		synctest.Wait()
		if seen.planned != 1 || len(seen.closed) != 1 || s.core.Live() != 0 {
			t.Errorf("%d were planned, %d live, and %+v ended", seen.planned, s.core.Live(), seen.closed)
		}
	})
}

// TestAClientThatLeavesWhileItsRequestIsPlannedHoldsNothing: Envoy does not hear where the request was to go, sends it nowhere, and
// its log entry has no ticket to end the exchange by.
func TestAClientThatLeavesWhileItsRequestIsPlannedHoldsNothing(t *testing.T) {
	for name, request := range map[string][]*extprocv3.ProcessingRequest{
		"with a body":    {planHead(), requestBody(goodBody)},
		"without a body": {requestHead(true, ":method", "GET", ":path", "/v1/files", "x-request-id", "request-1")},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { leaves(t, request) }) })
	}
}

func leaves(t *testing.T, request []*extprocv3.ProcessingRequest) {
	seen := &log{}
	s := newServer(t, seen)
	store := memory.New(memory.Params{})
	parallel := &quota.Budget{ID: "parallel", Unit: quota.Parallel, Limit: 1, Window: window.Window{Kind: window.Gauge}}
	snapshot := *s.core.Snapshot()
	snapshot.Servers = all.Servers()
	snapshot.Slow, snapshot.Meter, snapshot.Limits = true, metering.New(metering.Params{Store: slow{store}}), one{parallel}
	s.core.Swap(&snapshot)
	reserved := func() int64 {
		c, err := store.Peek(context.Background(), "default", []*quota.Budget{parallel})
		if err != nil {
			t.Fatal(err)
		}
		return c[0].Reserved
	}
	link := connect(t, s)

	ctx, leave := context.WithCancel(metadata.NewOutgoingContext(t.Context(), metadata.Pairs(StageHeader, StagePlan)))
	st, err := link.processor.Process(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range request {
		if err := st.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second / 2)
	leave()
	time.Sleep(time.Second)
	synctest.Wait()
	if n := reserved(); n != 0 {
		t.Errorf("%d requests are taken to run", n)
	}
	if len(seen.closed) != 1 || seen.closed[0].Ending != exchange.EndedByClient.String() || s.core.Live() != 0 {
		t.Errorf("%d live, and %+v ended", s.core.Live(), seen.closed)
	}

	// One that waits for its answer holds its place.
	out, err := link.play(t, StagePlan, request...)
	if err != nil && err != io.EOF || len(out) != len(request) || kindOf(out[len(out)-1]) == "immediate" {
		t.Fatalf("%v, %v", kindsOf(out), err)
	}
	if n := reserved(); n != 1 || len(seen.closed) != 1 {
		t.Errorf("%d requests are taken to run, and %+v ended", n, seen.closed)
	}
}
