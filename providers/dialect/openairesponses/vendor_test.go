package openairesponses

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// TestAVendorWithSealsOfItsOwn holds that what OpenAI encrypted does not reach such a vendor, and that what the vendor
// encrypted comes back to it alone.
func TestAVendorWithSealsOfItsOwn(t *testing.T) {
	c := NewVendor("xai")
	item := func(seal string) string {
		return `{"type":"reasoning","summary":[],"encrypted_content":"` + seal + `"}`
	}
	const user = `{"role":"user","content":"gAAAA is how it begins"}`
	body := func(items ...string) []byte {
		return []byte(`{"model":"m","input":[` + strings.Join(items, ",") + `]}`)
	}
	for _, tc := range []struct {
		name     string
		up       dialect.Client
		in, want []byte
		reshapes bool
	}{
		{"OpenAI's, to the vendor", c, body(user, item("gAAAAB"), user), body(user, user), true},
		{"its own", c, body(user, item("d2XlIW"), user), body(user, item("d2XlIW"), user), false},
		{"another's, by our mark", c, body(user, item("sbs1.gemini.s"), user), body(user, user), true},
		{"OpenAI's, to OpenAI", New(), body(user, item("gAAAAB"), user), body(user, item("gAAAAB"), user), false},
	} {
		h, err := fixed().Peek(inbound(tc.in))
		if err != nil {
			t.Fatal(err)
		}
		got, err := tc.up.Splice(nil, h, dialect.Edits{Model: "m"})
		if err != nil || string(got) != string(tc.want) || tc.up.(dialect.Reshaper).Reshapes(h) != tc.reshapes {
			t.Errorf("%s: got %s, %v", tc.name, got, err)
		}
	}
	answer := `{"id":"r","object":"response","created_at":1,"status":"completed","model":"grok-4","output":[` + item("d2XlIW") + `]}`
	seal := ""
	err := c.NewReader(nil, false).Feed([]byte(answer), true, func(ev *llm.Event) error {
		if ev.Seal != "" {
			seal = ev.Seal
		}
		return nil
	})
	vendor, inner, _ := dialect.OpenSeal(seal)
	if err != nil || vendor != "xai" || inner != "d2XlIW" {
		t.Fatalf("the seal is %q, %v", seal, err)
	}
	req := &llm.Request{Op: llm.OpChat, Model: "m", Extra: llm.Extra{Dialect: "openai-chat"}, Body: &llm.Chat{Turns: []llm.Turn{
		{Parts: []llm.Part{{Text: "hi"}}}, {Role: llm.RoleAssistant, Parts: []llm.Part{{Kind: llm.PartThought, Text: "hm", Seal: inner, From: vendor}, {Text: "ho"}}}, {Parts: []llm.Part{{Text: "more"}}},
	}}}
	for up, gets := range map[dialect.Client]bool{c: true, New(): false} {
		b, losses, err := up.WriteRequest(nil, req, dialect.Target{Model: "m"})
		if err != nil || strings.Contains(string(b), "d2XlIW") != gets || (len(losses) == 0) != gets {
			t.Errorf("want it %v: %s, %v, %v", gets, b, losses, err)
		}
	}
}
