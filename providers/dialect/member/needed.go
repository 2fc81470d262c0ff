package member

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Needed tells why a member that was left of a client's request cannot be dropped where the provider has no equal:
// without it the answer would be another one. It is "" where it can. It is for providers that neither search the web nor
// answer with audio.
func Needed(x *llm.Extra, m *llm.Member) string {
	if x.Dialect != "openai-chat" || jsonx.IsNull(m.Raw) {
		return ""
	}
	switch {
	case m.Name == "web_search_options":
		return "This model's provider does not search the web."
	case m.Name == "audio", m.Name == "modalities" && bytes.Contains(m.Raw, []byte(`"audio"`)):
		return "This model's provider does not answer with audio."
	}
	return ""
}
