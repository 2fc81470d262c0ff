package price

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// AppendText writes the card in its canonical form, on one line: what two cards that state the same have in
// common, and others have not. Rates are dollars for a million units, as
//
//	input 2.5 output 15; from 2026-09-01 input 3 output 15; above 200000 input 5; service batch input 1.25; factor us 1100; region eu 1100; hours 990-30 input 1
func (c *Card) AppendText(dst []byte) []byte {
	dst = c.Rates.appendText(dst)
	for i := range c.Changes {
		dst = append(dst, "; from "...)
		dst = c.Changes[i].From.UTC().AppendFormat(dst, time.DateOnly)
		dst = c.Changes[i].Rates.appendText(append(dst, ' '))
	}
	for i := range c.Tiers {
		dst = strconv.AppendInt(append(dst, "; above "...), c.Tiers[i].Above, 10)
		if c.Tiers[i].UpTo > 0 {
			dst = strconv.AppendInt(append(dst, " up to "...), c.Tiers[i].UpTo, 10)
		}
		dst = c.Tiers[i].Rates.appendText(append(dst, ' '))
	}
	for i := range c.Services {
		dst = append(append(dst, "; service "...), c.Services[i].Name...)
		dst = c.Services[i].Rates.appendText(append(dst, ' '))
	}
	for _, f := range c.Factors {
		kind := "; factor "
		if f.Region {
			kind = "; region "
		}
		dst = append(append(append(dst, kind...), f.Name...), ' ')
		dst = strconv.AppendInt(dst, f.Milli, 10)
	}
	for i := range c.Hours {
		dst = strconv.AppendInt(append(dst, "; hours "...), int64(c.Hours[i].From), 10)
		dst = strconv.AppendInt(append(dst, '-'), int64(c.Hours[i].Until), 10)
		dst = c.Hours[i].Rates.appendText(append(dst, ' '))
	}
	return dst
}

func (r Rates) appendText(dst []byte) []byte {
	first := true
	for i, v := range r.All() {
		if !first {
			dst = append(dst, ' ')
		}
		first = false
		dst = append(append(append(dst, i.String()...), ' '), v.Million()...)
	}
	for i := range r.images {
		m := &r.images[i]
		if !first {
			dst = append(dst, ' ')
		}
		first = false
		dst = strconv.AppendQuote(append(dst, "image "...), m.Size)
		dst = strconv.AppendQuote(append(dst, ' '), m.Quality)
		dst = append(append(dst, ' '), m.Rate.Million()...)
	}
	return dst
}

// Hash identifies what the card states: 16 hexadecimal digits of the SHA-256 of its text. A nil card has "".
func (c *Card) Hash() string {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.AppendText(make([]byte, 0, 512)))
	return hex.EncodeToString(sum[:8])
}
