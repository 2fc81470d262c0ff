package catalog

import (
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// Model is what is known of a model at one vendor. Its texts and its card are shared and must not be changed.
type Model struct {
	Vendor      string // who serves it: a kind of provider, or the name of a compatible vendor
	ID          string // the vendor's name of it
	Name        string // the plain name, the same at all vendors that serve the same model
	Mode        string // chat, responses (chat, through the Responses API only), completion, embedding, rerank or realtime
	Context     int64  // context window in tokens; 0: unknown
	MaxOutput   int64  // largest output in tokens; 0: unknown
	CacheMin    int    // shortest prefix that can be cached, in tokens; 0: unknown
	Dimensions  int    // of an embedding; 0: unknown
	Can, Cannot ability.Set
	Dates       Dates
	Card        *price.Card // what it costs; nil: not known, and never guessed
}

// Dates are days as YYYY-MM-DD, or months as YYYY-MM; "": unknown.
type Dates struct {
	Released  string
	Knowledge string // what it knows ends here
	Retires   string // announced end of service
}

// Match says how a model was found.
type Match uint8

// Matches, weakest first. Of those below Alias the card is nil, for another model's price is no price.
const (
	None      Match = iota
	Family          // not known: the newest known of its family, up to its own version
	Elsewhere       // not known at the vendor; the same model at another
	Alias           // under another of its names
	Exact
)
