// Package all is the one explicit list of provider kinds. A new kind is a line here; there is no other
// registration.
package all

import (
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/anthropic"
	"github.com/signalbox-ai/signalbox/providers/compat"
	"github.com/signalbox-ai/signalbox/providers/mock"
	"github.com/signalbox-ai/signalbox/providers/openai"
)

// Kinds returns a registry of all kinds.
func Kinds() *providers.Registry {
	return providers.NewRegistry(openai.Kind(), anthropic.Kind(), compat.Kind(), mock.Kind())
}
