package openairesponses

import (
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func targetOf(req *llm.Request) dialect.Target {
	return dialect.Target{Model: req.Model, Facts: catalog.OpenAI(req.Model)}
}
