package openaichat

import (
	"flag"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	codectest.Golden(t, *update, func(map[string]string) codectest.Pair {
		return codectest.Pair{Server: fixed(), Client: fixed(), In: inbound(nil), Facts: func(model string) dialect.Target {
			return dialect.Target{Model: model, Facts: catalog.OpenAI(model)}
		}}
	})
}
