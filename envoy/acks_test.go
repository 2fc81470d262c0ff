package envoy

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
)

// peers plays Envoys against the book of acknowledgements.
type peers struct {
	t *testing.T
	a *acks
}

func (p peers) open(id int64) { _ = p.a.OnStreamOpen(p.t.Context(), id, "") }

func (p peers) send(id int64, kind, version string) {
	p.a.OnStreamResponse(p.t.Context(), id, nil, &discoveryv3.DiscoveryResponse{TypeUrl: kind, VersionInfo: version})
}

func (p peers) take(id int64, kind, version string) {
	if err := p.a.OnStreamRequest(id, &discoveryv3.DiscoveryRequest{TypeUrl: kind, VersionInfo: version}); err != nil {
		p.t.Error(err)
	}
}

func (p peers) refuse(id int64, kind, why string) *discoveryv3.DiscoveryRequest {
	r := &discoveryv3.DiscoveryRequest{TypeUrl: kind, VersionInfo: "old", ErrorDetail: &rpcstatus.Status{Message: why}}
	if err := p.a.OnStreamRequest(id, r); err != nil {
		p.t.Error(err)
	}
	return r
}

func TestAckedWaitsForEveryEnvoy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := peers{t, newAcks("signalbox")}
		one := "1"
		p.a.expect(map[string]string{"C": "c1", "L": "l1"}, &one)
		var err error
		done := make(chan struct{})
		go func() { // ends below
			err = p.a.wait(t.Context(), "1")
			close(done)
		}()
		waits := func(why string) {
			t.Helper()
			synctest.Wait()
			select {
			case <-done:
				t.Fatalf("it does not wait: %s (%v)", why, err)
			default:
			}
		}
		waits("no Envoy is there")
		p.open(1)
		p.open(2)
		waits("nobody has anything")
		for _, id := range []int64{1, 2} {
			p.take(id, "C", "c1")
		}
		p.take(1, "L", "l1")
		waits("the second Envoy has no listener")
		p.take(2, "L", "l0")
		waits("the second Envoy has the old listener")
		p.a.OnStreamClosed(2, nil)
		<-done
		if err != nil || p.a.connected() != 1 {
			t.Errorf("got %v with %d Envoys", err, p.a.connected())
		}
	})
}

func TestAckedEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := peers{t, newAcks("signalbox")}
		one, two := "1", "2"
		want := func(err error, text string) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("got %v, want %s", err, text)
			}
		}
		p.a.expect(map[string]string{"C": "c1"}, &one)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		want(p.a.wait(ctx, "1"), "waiting for Envoy to take configuration 1: context deadline exceeded")
		p.open(1)
		p.send(1, "C", "c1")
		r := p.refuse(1, "C", "no such file")
		want(p.a.wait(t.Context(), "1"), "configuration 1: no such file")
		if r.GetVersionInfo() != "c1" {
			t.Errorf("the refused version would be sent again: the request says %q", r.GetVersionInfo())
		}
		if !p.a.refused() {
			t.Error("nothing was refused")
		}
		p.a.expect(map[string]string{"C": "c2"}, &two)
		want(p.a.wait(t.Context(), "1"), "configuration 1 was replaced by 2")
		if p.a.refused() {
			t.Error("the new version was refused before it was sent")
		}
		p.take(1, "C", "c2")
		if err := p.a.wait(t.Context(), "2"); err != nil {
			t.Error(err)
		}
		err := p.a.OnStreamRequest(1, &discoveryv3.DiscoveryRequest{Node: &corev3.Node{Id: "other"}})
		want(err, `this server configures Envoys with the node id "signalbox", not "other"`)
	})
}
