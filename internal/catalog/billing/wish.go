package billing

import (
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// Wish is what a request asks for that its price depends on, beside its tokens. The zero value asks for nothing of the
// kind.
type Wish struct {
	Service  string     // service tier; "": none, and what leaves it to the provider
	Switches []string   // of the provider's, such as fast
	Search   string     // size of the context of web searches
	Look     price.Look // of images
	Fees     cost.Units // what is no token: images, characters, seconds, and tools' calls, at most
	Turns    int64      // how often the provider may run the model again with more in its prompt, at most
	Endless  string     // what nothing bounds; "": all of it is bounded
	Loops    bool       // Turns has no bound
	Hosted   bool       // tools that the provider runs itself, whose calls may stand nowhere but in the answer's content
}

// Terms adds what is asked for to the terms of a contract.
func (w *Wish) Terms(t cost.Terms) cost.Terms {
	if w.Service != "" {
		t.Service = w.Service
	}
	t.Switches, t.Search, t.Look = w.Switches, w.Search, w.Look
	return t
}

// Plain reports whether nothing is asked for.
func (w *Wish) Plain() bool {
	return w.Service == "" && len(w.Switches) == 0 && w.Search == "" && w.Look == (price.Look{}) && w.Fees == (cost.Units{}) && w.Turns == 0 && w.Endless == "" && !w.Loops && !w.Hosted
}
