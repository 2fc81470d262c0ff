package app

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/heap"
)

// What a process keeps of a route is small, and in few pieces, which a collection of garbage has to look at one by one.
func TestARouteTakesLittleMemory(t *testing.T) {
	const routes = 4000
	for _, c := range []struct {
		name, route    string
		bytes, objects int64 // at most
	}{
		{"a pattern with a policy", `{name: r%[1]d, match: {models: [t%[1]d-*]}, targets: [p/gpt-5.1, q/gpt-5.1], policy: [{region: eu}]}`, 700, 2},
		{"a name of its own", `{name: r%[1]d, match: {models: [m%[1]d]}, targets: [p/gpt-5.1, q/gpt-5.1, q/gpt-5]}`, 700, 2},
		{"an owner, and targets in another order", `{name: r%[1]d, match: {models: [m], teams: [t%[1]d]}, targets: [{target: p/gpt-5.1, weight: %[1]d}, q/gpt-5.1]}`, 1200, 6},
		{"an expression", `{name: r%[1]d, match: {models: [m], when: "request.bytes > %[1]d"}, targets: [p/gpt-5.1, q/gpt-5.1]}`, 2400, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			made := func(n int) *rig {
				var b strings.Builder
				b.WriteString(sockets + "providers: [ { name: p, kind: openai, key: \"file:DIR/key\" }, { name: q, kind: openai, key: \"file:DIR/key\" } ]\nroutes:\n")
				for i := range n {
					fmt.Fprintf(&b, "  - "+c.route+"\n", i+1)
				}
				r := newRig(t, b.String())
				spec, err := r.spec(r.Config())
				if err == nil {
					err = r.xds.Set(t.Context(), spec, "1")
				}
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			one := made(1)
			bytes, objects := heap.Live()
			many := made(routes)
			check := func(when string) {
				b, o := heap.Live()
				b, o = (b-bytes)/routes, (o-objects)/routes
				t.Logf("%s: %d bytes and %d objects a route", when, b, o)
				if b > c.bytes || o > c.objects {
					t.Errorf("%s: a route takes %d bytes in %d objects, at most %d in %d", when, b, o, c.bytes, c.objects)
				}
			}
			check("started")
			if err := many.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			check("read again")
			runtime.KeepAlive(one)
			runtime.KeepAlive(many)
		})
	}
}
