package dialect

import (
	"encoding/base64"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Marks of seals on their way through a client: of one that names the vendor that made it, and of one that also names
// what it seals.
const (
	sealMark    = "sbs1."
	carrierMark = "sbc1."
)

// HiddenMark begins, within the wrapping, the signature of a thought whose text its provider kept to itself: such a
// thought looks like a redacted one, with a seal and no text, and must go back in another form.
const HiddenMark = "sbt1."

// WrapSeal returns a seal that names its vendor. Every seal in an event is wrapped, by the Reader, which knows who made
// it; one that came wrapped, from a gateway like this, stays as it is.
func WrapSeal(vendor, seal string) string {
	if seal == "" || strings.HasPrefix(seal, sealMark) {
		return seal
	}
	return sealMark + vendor + "." + seal
}

// OpenSeal returns the vendor and the seal of a wrapped one, and whether it was. A server that reads a seal opens it
// first: it belongs to that vendor, whatever the client's dialect is (llm.Part.From). A bare seal is returned as it is:
// it belongs to the provider of the client's own dialect.
func OpenSeal(s string) (vendor, seal string, wrapped bool) {
	rest, found := strings.CutPrefix(s, sealMark)
	if !found {
		return "", s, false
	}
	vendor, seal, found = strings.Cut(rest, ".")
	if !found || vendor == "" || seal == "" {
		return "", s, false
	}
	return vendor, seal, true
}

// ShownSeal returns a seal of an event as a Writer shows it to clients of a vendor's dialect: bare where that vendor
// made it, wrapped where another did. The client keeps it as if it were its own provider's.
func ShownSeal(vendor, seal string) string {
	if from, inner, wrapped := OpenSeal(seal); wrapped && from == vendor {
		return inner
	}
	return seal
}

// ForeignSeal reports whether a seal that a client sends is of another vendor than that of its own dialect, or seals
// something else than where it stands: on the diagonal it must not reach the provider.
func ForeignSeal(vendor, seal string) bool {
	from, _, wrapped := OpenSeal(seal)
	return wrapped && from != vendor || strings.HasPrefix(seal, carrierMark)
}

// Carrier is the seal of a call, or of a text where Call is "", on its way through a client whose dialect has a place
// for seals of reasoning only: it goes as that of redacted reasoning.
type Carrier struct {
	Call   string // the call's id
	Vendor string
	Seal   string // bare
}

// NewCarrier makes the carrier of a seal of an event, which is wrapped. vendor is whose a bare one is.
func NewCarrier(call, vendor, seal string) Carrier {
	c := Carrier{Call: call, Vendor: vendor, Seal: seal}
	if from, inner, wrapped := OpenSeal(seal); wrapped {
		c.Vendor, c.Seal = from, inner
	}
	return c
}

// String returns what stands in place of the seal of redacted reasoning.
func (c Carrier) String() string {
	return carrierMark + base64.RawURLEncoding.EncodeToString([]byte(c.Call)) + "." + WrapSeal(c.Vendor, c.Seal)
}

// ReadCarrier reads what Carrier.String returned, and reports whether s is such.
func ReadCarrier(s string) (Carrier, bool) {
	rest, ours := strings.CutPrefix(s, carrierMark)
	id, sealed, found := strings.Cut(rest, ".")
	call, err := base64.RawURLEncoding.DecodeString(id)
	vendor, seal, wrapped := OpenSeal(sealed)
	if !ours || !found || err != nil || !wrapped {
		return Carrier{}, false
	}
	return Carrier{string(call), vendor, seal}, true
}

// Settle gives the seals of the carriers among an answer's parts back to what they seal, and returns the parts without
// the carriers. A text's carrier stands behind the text, which may be empty; a call's stands anywhere in the turn. A
// carrier whose call the client left out goes too.
func Settle(parts []llm.Part) []llm.Part {
	var calls []Carrier
	kept := parts[:0]
	for _, p := range parts {
		c, ours := ReadCarrier(p.Seal)
		switch last := len(kept) - 1; {
		case !ours || p.Kind != llm.PartThought:
			kept = append(kept, p)
		case c.Call != "":
			calls = append(calls, c)
		case last >= 0 && kept[last].Kind == llm.PartText && kept[last].Seal == "":
			kept[last].Seal, kept[last].From = c.Seal, c.Vendor
		default:
			kept = append(kept, llm.Part{Seal: c.Seal, From: c.Vendor})
		}
	}
	for _, c := range calls {
		for i := range kept {
			if p := &kept[i]; p.Kind == llm.PartCall && p.Call.ID == c.Call {
				p.Seal, p.From = c.Seal, c.Vendor
			}
		}
	}
	return kept
}

// CutThoughts adds to edits those that take the parts for which foreign reports true out of a conversation, and the
// turns that hold nothing else. turns is the conversation's part of body, as jsonx.CutElements wants it; parts names the
// array of a turn.
func CutThoughts(edits []jsonx.Edit, body, turns []byte, parts string, foreign func(part []byte) bool) []jsonx.Edit {
	hollow := func(turn []byte) bool {
		all, gone := 0, 0
		for _, p := range jsonx.Elements(jsonx.Get(turn, parts)) {
			all++
			if foreign(p) {
				gone++
			}
		}
		return gone > 0 && gone == all
	}
	edits = jsonx.CutElements(edits, body, turns, hollow)
	for _, t := range jsonx.Elements(turns) {
		if !hollow(t) {
			edits = jsonx.CutElements(edits, body, jsonx.Get(t, parts), foreign)
		}
	}
	return edits
}
