package metering

import (
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/quota"
)

// held is what a ticket knows of a reservation.
type held struct {
	id, organization string
	input, output    int64
	wish             billing.Wish
	parts            []part
}

type part struct {
	budget string
	amount int64
}

// holdVersion is that of the form below; the one before had no wish, and queries in its place.
const holdVersion, holdBefore = "2", "1"

// encode writes a reservation for the ticket: version, id, organization, tokens of prompt and answer, what else decides
// the price, then each budget with what was claimed of it.
func encode(id, organization string, a *ask, wish *billing.Wish, claims []quota.Claim, whole bool) string {
	in, out := a.usualIn, a.usualOut
	if whole {
		in, out = a.most.Input, a.most.Output
	}
	b := make([]byte, 0, 64+64*len(claims))
	b = append(append(append(b, holdVersion...), '|'), id...)
	b = append(append(b, '|'), organization...)
	for _, n := range [...]int64{in, out} {
		b = strconv.AppendInt(append(b, '|'), n, 10)
	}
	b = appendWish(append(b, '|'), wish, &a.most.Fees)
	for i := range claims {
		b = append(append(append(b, '|'), claims[i].Budget.ID...), '=')
		b = strconv.AppendInt(b, claims[i].Amount, 10)
	}
	return string(b)
}

// appendWish writes the words of a wish, and what it may use that is no token, with commas between: nothing of most.
// Words are those of APIs: they have no comma.
func appendWish(b []byte, w *billing.Wish, fees *cost.Units) []byte {
	add := func(name, value string) {
		if value != "" {
			b = append(append(append(append(b, name...), '='), value...), ',')
		}
	}
	add("tier", w.Service)
	add("context", w.Search)
	add("size", w.Look.Size)
	add("quality", w.Look.Quality)
	for _, s := range w.Switches {
		add("switch", s)
	}
	for i, n := range fees {
		if n > 0 {
			add(price.Item(i).String(), strconv.FormatInt(n, 10))
		}
	}
	return b
}

// ID returns the id of the charge that a ticket's hold is of: it is unique, which the client's id of a request need not be.
func ID(hold string) string {
	version, rest, _ := strings.Cut(hold, "|")
	if version != holdVersion && version != holdBefore {
		return ""
	}
	id, _, _ := strings.Cut(rest, "|")
	return id
}

// decode reads what encode wrote; ok is false for anything else.
func decode(s string) (h held, ok bool) {
	fields := strings.Split(s, "|")
	const fixed = 6
	if len(fields) < fixed || fields[0] != holdVersion && fields[0] != holdBefore {
		return held{}, false
	}
	h.id, h.organization = fields[1], fields[2]
	for i, to := range [...]*int64{&h.input, &h.output} {
		n, ok := amount(fields[3+i])
		if !ok {
			return held{}, false
		}
		*to = n
	}
	wish := fields[5]
	if fields[0] == holdBefore {
		wish = price.PerQuery.String() + "=" + wish + ","
	}
	if !readWish(&h.wish, wish) {
		return held{}, false
	}
	for _, f := range fields[fixed:] {
		id, text, found := strings.Cut(f, "=")
		n, ok := amount(text)
		if !found || !ok {
			return held{}, false
		}
		h.parts = append(h.parts, part{id, n})
	}
	return h, true
}

func readWish(w *billing.Wish, s string) bool {
	for s != "" {
		var f string
		var whole bool
		if f, s, whole = strings.Cut(s, ","); !whole {
			return false
		}
		name, value, found := strings.Cut(f, "=")
		if !found {
			return false
		}
		switch name {
		case "tier":
			w.Service = value
		case "context":
			w.Search = value
		case "size":
			w.Look.Size = value
		case "quality":
			w.Look.Quality = value
		case "switch":
			w.Switches = append(w.Switches, value)
		default:
			n, ok := amount(value)
			if !ok {
				return false
			}
			for i := range price.Item(price.Items) { // one that is not known here is of a newer version, and has no price here
				if i.String() == name {
					w.Fees[i] = n
				}
			}
		}
	}
	return true
}

func amount(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && n <= quota.Max
}

// most is what was reserved, in units.
func (h *held) most() (u cost.Units) {
	u = h.wish.Fees
	u[price.Input], u[price.Output], u[price.PerRequest] = h.input, h.output, 1
	return u
}
