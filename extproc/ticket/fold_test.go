package ticket

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// TestAFoldedTicketIsTheOneThatEnvoyHas holds what was folded against what was written and read.
func TestAFoldedTicketIsTheOneThatEnvoyHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.Make[Ticket]().Draw(t, "ticket")
		text := func(name string) string { // what makes these has no bytes that are no text
			return rapid.StringMatching(`[0-9a-z|=,-]{1,64}`).Draw(t, name)
		}
		in.V, in.ID, in.Hold, in.Trace = Version, text("id"), text("hold"), Trace(strings.Repeat("0a", 25))
		if len(in.Steps) == 0 {
			in.Steps = []Leg{{Provider: "a"}}
		}
		if in.Steps = in.Steps[:min(len(in.Steps), MaxLegs)]; in.Dialect == "" {
			in.Dialect = "d"
		}
		f, ok := in.Fold()
		if !ok {
			t.Fatal("it cannot be folded")
		}
		if f.ID() != in.ID || f.Began() != in.Began {
			t.Errorf("%q of %d, want %q of %d", f.ID(), f.Began(), in.ID, in.Began)
		}
		got, err := f.Ticket()
		if err != nil {
			t.Fatal(err)
		}
		var want Ticket
		if err := jsonx.DecodeStrict([]byte(in.Encode()), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, &want, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
}

func TestOnlyTheirOwnIsKeptOfTicketsThatAreAlike(t *testing.T) {
	a := Ticket{V: Version, ID: "request-1", Dialect: "d", Began: 1, Hold: "2|a", Steps: []Leg{{Provider: "a"}}}
	b := a
	b.ID, b.Began, b.Hold, b.Trace = "request-2", 2, "2|b", Trace(strings.Repeat("0a", 25))
	c := a
	c.Model = "another"
	fa, _ := a.Fold()
	fb, _ := b.Fold()
	fc, _ := c.Fold()
	if fa.alike != fb.alike || fa.alike == fc.alike {
		t.Error("what is alike is not kept once")
	}
	a.ID = strings.Repeat("a", 256)
	if _, ok := a.Fold(); ok {
		t.Error("an id that no exchange has was folded")
	}
}
