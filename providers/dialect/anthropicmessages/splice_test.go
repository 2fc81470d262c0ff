package anthropicmessages

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// TestForeignThoughtsAreTakenOut splices conversations that another vendor's model was part of.
func TestForeignThoughtsAreTakenOut(t *testing.T) {
	const (
		own     = `{"type":"thinking","thinking":"t","signature":"EqoB"}`
		hidden  = `{"type":"redacted_thinking","data":"EqoB"}`
		openai  = `{"type":"thinking","thinking":"t","signature":"sbs1.openai-responses.gAAA"}`
		sealed  = `{"type":"redacted_thinking","data":"sbs1.openai-responses.gAAA"}`
		made    = `{"type":"thinking","thinking":"t","signature":"sb1.Z3B0"}`
		words   = `{"type":"text","text":"say \"sb1.\""}`
		user    = `{"role":"user","content":"x"}`
		wrapped = `{"type":"thinking","thinking":"t","signature":"sbs1.anthropic-messages.EqoB"}`
	)
	said := func(blocks string) string { return `{"role":"assistant","content":[` + blocks + `]}` }
	for in, want := range map[string]string{
		user:                                   user,
		said(own + "," + hidden + "," + words): said(own + "," + hidden + "," + words),
		said(openai + "," + words):             said(words),
		said(made + " , " + sealed + "," + words): said(words),
		said(words + "," + made):                  said(words),
		said(own + "," + made + "," + words):      said(own + "," + words),
		said(wrapped + "," + words):               said(wrapped + "," + words),
		user + "," + said(made) + "," + user:      user + "," + user,
		user + "," + said(openai+","+sealed):      user,
	} {
		body := `{"model":"a","max_tokens":5,"messages":[` + in + `]}`
		h, err := New().Peek(dialect.Inbound{Op: llm.OpChat, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := New().Splice(nil, h, dialect.Edits{Model: "b"})
		if err != nil {
			t.Fatal(err)
		}
		compact, err := jsonx.Compact(got)
		if wanted := `{"model":"b","max_tokens":5,"messages":[` + want + `]}`; err != nil || string(compact) != wanted {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", in, got, err, wanted)
		}
	}
}
