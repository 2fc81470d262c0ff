package metering

import (
	"sync"
	"sync/atomic"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// mostHashes bounds the cards that are remembered: a new configuration brings its own, and those before are not used again.
const mostHashes = 4096

// hashes remembers by which hash a card is named, for cards that do not change: writing a card out and hashing it for each
// charge took as long as the rest of a bill.
type hashes struct {
	of sync.Map // *price.Card: string
	n  atomic.Int32
}

func (h *hashes) get(c *price.Card) string {
	if s, ok := h.of.Load(c); ok {
		return s.(string)
	}
	if h.n.Add(1) > mostHashes {
		h.of.Clear()
		h.n.Store(0)
	}
	s := c.Hash()
	h.of.Store(c, s)
	return s
}
