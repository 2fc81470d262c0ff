package catalog

import (
	"fmt"
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// AppendJSON appends the model as a JSON object. What is not known is left out; prices are texts, in dollars for one
// unit, exact to the last digit.
func (m *Model) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for _, f := range [...]struct{ name, value string }{
		{"vendor", m.Vendor}, {"id", m.ID}, {"name", m.Name}, {"mode", m.Mode}, {"released", m.Dates.Released}, {"knowledge", m.Dates.Knowledge}, {"retires", m.Dates.Retires},
	} {
		if f.value != "" {
			dst = jsonx.AppendQuote(jsonx.AppendKey(dst, f.name), f.value)
		}
	}
	for _, f := range [...]struct {
		name string
		n    int64
	}{{"context", m.Context}, {"max_output", m.MaxOutput}, {"cache_min", int64(m.CacheMin)}, {"dimensions", int64(m.Dimensions)}} {
		if f.n > 0 {
			dst = strconv.AppendInt(jsonx.AppendKey(dst, f.name), f.n, 10)
		}
	}
	dst = appendTexts(jsonx.AppendKey(dst, "abilities"), m.Can.Names())
	if m.Cannot != 0 {
		dst = appendTexts(jsonx.AppendKey(dst, "not"), m.Cannot.Names())
	}
	if m.Card != nil {
		dst = appendCard(jsonx.AppendKey(dst, "price"), m.Card)
	}
	return append(dst, '}')
}

func appendTexts(dst []byte, texts []string) []byte {
	dst = append(dst, '[')
	for _, t := range texts {
		dst = jsonx.AppendQuote(jsonx.AppendComma(dst), t)
	}
	return append(dst, ']')
}

// appendCard appends the rates, and beside them what a card has more, under the names of the configuration.
func appendCard(dst []byte, c *price.Card) []byte {
	dst = appendRates(append(dst, '{'), c.Rates)
	list := func(name string, n int, one func(i int)) {
		if n == 0 {
			return
		}
		dst = append(jsonx.AppendKey(dst, name), '[')
		for i := range n {
			dst = append(jsonx.AppendComma(dst), '{')
			one(i)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	list("changes", len(c.Changes), func(i int) {
		dst = jsonx.AppendQuote(jsonx.AppendKey(dst, "from"), c.Changes[i].From.Format(time.DateOnly))
		dst = appendRates(dst, c.Changes[i].Rates)
	})
	list("tiers", len(c.Tiers), func(i int) {
		dst = strconv.AppendInt(jsonx.AppendKey(dst, "above"), c.Tiers[i].Above, 10)
		if c.Tiers[i].UpTo > 0 {
			dst = strconv.AppendInt(jsonx.AppendKey(dst, "up_to"), c.Tiers[i].UpTo, 10)
		}
		dst = appendRates(dst, c.Tiers[i].Rates)
	})
	list("services", len(c.Services), func(i int) {
		dst = jsonx.AppendQuote(jsonx.AppendKey(dst, "name"), c.Services[i].Name)
		dst = appendRates(dst, c.Services[i].Rates)
	})
	list("hours", len(c.Hours), func(i int) {
		dst = jsonx.AppendQuote(jsonx.AppendKey(dst, "from"), clock(c.Hours[i].From))
		dst = jsonx.AppendQuote(jsonx.AppendKey(dst, "until"), clock(c.Hours[i].Until))
		dst = appendRates(dst, c.Hours[i].Rates)
	})
	list("factors", len(c.Factors), func(i int) {
		f := &c.Factors[i]
		dst = jsonx.AppendQuote(jsonx.AppendKey(dst, "name"), f.Name)
		dst = strconv.AppendBool(jsonx.AppendKey(dst, "region"), f.Region)
		dst = jsonx.AppendQuote(jsonx.AppendKey(dst, "times"), strconv.FormatFloat(float64(f.Milli)/1000, 'f', -1, 64))
	})
	return append(dst, '}')
}

// clock writes minutes since midnight as a time of day.
func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

func appendRates(dst []byte, r price.Rates) []byte {
	for i, v := range r.All() {
		dst = jsonx.AppendQuote(jsonx.AppendKey(dst, i.String()), v.String())
	}
	return dst
}
