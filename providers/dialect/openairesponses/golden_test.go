package openairesponses

import (
	"flag"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fixed is a codec whose clock stands and whose ids repeat.
func fixed() *Codec {
	return &Codec{now: func() time.Time { return time.Unix(1700000000, 0) }, mint: func() string { return "0123456789abcdef01234567" }, vendor: name}
}

func inbound(body []byte) dialect.Inbound {
	return dialect.Inbound{Op: llm.OpChat, Path: "/v1/responses", Body: body}
}

// foreign are the codecs of other dialects on the other side of an exchange.
type foreign interface {
	dialect.Client
	dialect.Server
}

// side returns the codec of one side: ours, or another's where the archive names it so.
func side(name string) (foreign, func(string) catalog.Facts) {
	switch name {
	case "anthropic":
		return anthropicmessages.New(), catalog.Anthropic
	case "chat":
		return openaichat.New(), catalog.OpenAI
	}
	return fixed(), catalog.OpenAI
}

func TestGolden(t *testing.T) {
	codectest.Golden(t, *update, func(s map[string]string) codectest.Pair {
		client, _ := side(s["client"])
		up, facts := side(s["answer"])
		return codectest.Pair{Server: client, Client: up, In: inbound(nil), Facts: func(model string) dialect.Target {
			return dialect.Target{Model: model, Facts: facts(model)}
		}}
	})
}
