package ticket

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/owner"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func TestATicketComesBackAsItWas(t *testing.T) {
	want := &Ticket{
		V: Version, ID: "request-1", Dialect: dialect.OpenAIChat,
		Asked: Asked{Op: llm.OpChat, Method: "GET", Path: "/v1/chat/completions", Type: "multipart/form-data; boundary=b", Model: "smart", Stream: true},
		Route: "r", Rules: Rules{First: Ms(1500 * time.Microsecond), Hold: true}, Began: 1, Version: "c",
		Steps: []Leg{{Provider: "a", Model: "m", Key: "env:K", Path: Watched}},
	}
	got, err := Read(want.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if got.Rules.First.D() != 2*time.Millisecond {
		t.Errorf("a deadline of 1.5 ms became %s, want it rounded up", got.Rules.First.D())
	}
	if name := got.Steps[0].Target() + " " + got.Steps[0].Path.String(); name != "a/m watched" {
		t.Errorf("got %s", name)
	}
}

// TestEveryMemberIsWritten holds what is written member by member against the library: the same reader finds the same,
// so that tickets pass between versions.
func TestEveryMemberIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.Make[Ticket]().Draw(t, "ticket")
		library, err := jsonx.Encode(&in)
		if err != nil {
			t.Fatal(err)
		}
		var got, want Ticket
		if err := jsonx.DecodeStrict(library, &want); err != nil {
			t.Fatal(err)
		}
		if err := jsonx.DecodeStrict([]byte(in.Encode()), &got); err != nil {
			t.Fatalf("%v: %s", err, in.Encode())
		}
		if diff := cmp.Diff(got, want, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
}

func TestBytesThatAreNoTextStillMakeATicket(t *testing.T) {
	in := Ticket{V: Version, ID: "x", Dialect: dialect.OpenAIChat, Asked: Asked{Path: "/\xff"}, Steps: []Leg{{Provider: "a"}}}
	got, err := Read(in.Encode())
	if err != nil || got.Path != "/\ufffd" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestATicketThatIsNotWholeIsRefused(t *testing.T) {
	good := `{"v":1,"id":"x","d":"openai-chat","o":1,"a":"/","m":"m","r":"r","l":{},"t":1,"c":"c","p":[{"p":"a","m":"m"}]}`
	if _, err := Read(good); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"none":              "",
		"cut":               good[:len(good)-3],
		"another version":   strings.Replace(good, `"v":1`, `"v":2`, 1),
		"no id":             strings.Replace(good, `"id":"x"`, `"id":""`, 1),
		"no steps":          strings.Replace(good, `[{"p":"a","m":"m"}]`, `[]`, 1),
		"an unknown member": strings.Replace(good, `"v":1`, `"v":1,"zz":1`, 1),
		"a member twice":    strings.Replace(good, `"v":1`, `"v":1,"v":1`, 1),
	} {
		if got, err := Read(s); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}

func TestACopyIsAtHomeWhereTheExchangeIs(t *testing.T) {
	for c, want := range map[Charged]auth.Owner{
		{Team: "core"}: {Organization: auth.DefaultOrganization, Team: "core"},
		{Organization: "acme", Team: "core", Project: "search"}:           {Organization: "acme", Team: "core", Project: "search"},
		{Organization: owner.OwnTraffic, Team: "core", Shadows: "acme/1"}: {Organization: "acme", Team: "core"},
		{Organization: owner.OwnTraffic}:                                  {Organization: owner.OwnTraffic},
	} {
		if got := c.Home(); got != want {
			t.Errorf("%+v is at home at %+v, want %+v", c, got, want)
		}
	}
}
