package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Nano is an amount in nano-USD. In JSON it is a text, in dollars, exact: "0.014433".
type Nano int64

// String writes dollars.
func (n Nano) String() string { return string(n.append(nil)) }

func (n Nano) append(b []byte) []byte {
	v := uint64(n)
	if n < 0 {
		b, v = append(b, '-'), -v
	}
	b = strconv.AppendUint(b, v/1e9, 10)
	frac := v % 1e9
	if frac == 0 {
		return b
	}
	b = append(b, ".000000000"...)
	for at := len(b) - 1; frac > 0; at-- {
		b[at] = '0' + byte(frac%10)
		frac /= 10
	}
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

// MarshalText writes dollars.
func (n Nano) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads dollars. What is no whole number of nano-dollars is an error.
func (n *Nano) UnmarshalText(b []byte) error {
	v, err := ParseNano(string(b))
	*n = v
	return err
}

// ParseNano reads dollars, with a sign or without.
func ParseNano(s string) (Nano, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, frac, dot := strings.Cut(digits, ".")
	if len(frac) > 9 && strings.Trim(frac[9:], "0") == "" {
		frac = frac[:9]
	}
	if whole == "" || dot && frac == "" || len(frac) > 9 || strings.ContainsFunc(whole+frac, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, errors.New("not an amount: dollars as a decimal number with at most nine places")
	}
	v, err := strconv.ParseInt(whole+frac+strings.Repeat("0", 9-len(frac)), 10, 64)
	if err != nil {
		return 0, errors.New("the amount is too large")
	}
	if negative {
		v = -v
	}
	return Nano(v), nil
}

// Millis is a duration in milliseconds.
type Millis int64

// Ms rounds to milliseconds.
func Ms(d time.Duration) Millis { return Millis(d.Round(time.Millisecond) / time.Millisecond) }

// Units are disjoint units of price items. In JSON they are an object of those that are not 0. In a correction
// they may be negative.
type Units cost.Units

// MarshalJSON writes the units.
func (u Units) MarshalJSON() ([]byte, error) {
	dst := []byte{'{'}
	for i, n := range u {
		if n != 0 {
			dst = strconv.AppendInt(jsonx.AppendKey(dst, price.Item(i).String()), n, 10)
		}
	}
	return append(dst, '}'), nil
}

// UnmarshalJSON reads the units. An item that is not known is an error, since its units would be lost.
func (u *Units) UnmarshalJSON(b []byte) error {
	*u = Units{}
	for name, v := range jsonx.Members(b) {
		i, ok := Item(string(name))
		n, number := jsonx.Int(v)
		if !ok || !number {
			return fmt.Errorf("units: %s is no item, or no whole number", name)
		}
		u[i] = n
	}
	return nil
}

// Item returns the price item of a name.
func Item(name string) (price.Item, bool) {
	for i := range price.Item(price.Items) {
		if i.String() == name {
			return i, true
		}
	}
	return 0, false
}

// Prompt returns the tokens of the prompt, cached ones included.
func (u Units) Prompt() int64 { return (*cost.Units)(&u).Prompt() }

// Answer returns the tokens of the answer, reasoning included.
func (u Units) Answer() int64 { return (*cost.Units)(&u).Answer() }

// Written returns the tokens that were written to a prompt cache.
func (u Units) Written() int64 { return u[price.CacheWrite] + u[price.CacheWrite1h] }

// Read returns the tokens that were read from one, of text, audio and images.
func (u Units) Read() int64 {
	return u[price.CacheRead] + u[price.AudioCacheRead] + u[price.ImageCacheRead]
}

// Searches returns the web searches, whatever the size of their context.
func (u Units) Searches() int64 {
	return u[price.WebSearch] + u[price.WebSearchLow] + u[price.WebSearchMedium] + u[price.WebSearchHigh]
}

// BillOf makes the record's form of a bill.
func BillOf(b *cost.Bill, card, version string) Bill {
	out := Bill{Cost: Nano(b.Nano), List: Nano(b.List), Saved: Nano(b.Saved), Card: card, Version: version}
	for _, l := range b.Lines {
		out.Lines = append(out.Lines, Line{Item: l.Item.String(), Units: l.Units, Rate: l.Rate.String(), Cost: Nano(l.Nano)})
	}
	return out
}

// FlagsOf makes the record's form of a bill's flags.
func FlagsOf(f cost.Flags) (out []Flag) {
	for _, n := range f.Names() {
		out = append(out, Flag(n))
	}
	return out
}

// Decode reads a record.
func Decode(line []byte) (*Record, error) {
	r := new(Record)
	if err := jsonx.Decode(line, r); err != nil {
		return nil, fmt.Errorf("ledger record: %w", err)
	}
	r.At = r.At.UTC()
	return r, nil
}

// Canonical writes tags as a JSON object with its names in order, "" where there are none.
func Canonical(tags map[string]string) string {
	if len(tags) == 0 {
		return ""
	}
	names := make([]string, 0, len(tags))
	for n := range tags {
		names = append(names, n)
	}
	slices.Sort(names)
	dst := []byte{'{'}
	for _, n := range names {
		dst = jsonx.AppendText(dst, n, tags[n])
	}
	return string(append(dst, '}'))
}

// maxText bounds every text of a record that others have a say in.
const maxText = 256

// clean makes a text fit for every store: valid UTF-8, no control characters, not over maxText bytes.
func clean(s string) string {
	if len(s) <= maxText && utf8.ValidString(s) && !strings.ContainsFunc(s, control) {
		return s
	}
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		if control(r) {
			return '\ufffd'
		}
		return r
	}, s)
	for len(s) > maxText {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

func control(r rune) bool { return r < ' ' || r == 0x7f }
