// Package price holds what models cost: rates, exact to the last digit that a provider publishes, and cards
// of all the rates of one model. It computes no bill.
package price

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Rate is the price of one unit (a token, where the Item says nothing else) in femto-dollars: 10⁻¹⁵ US
// dollars. Every published price is a whole number of them; the largest rate is 9,223 dollars a unit.
type Rate int64

// digits is how many decimal places a dollar has in a Rate.
const digits = 15

// errDecimal is what is wrong with a text that is no price.
var errDecimal = errors.New("not a price: write dollars as a decimal number, such as 2.5")

// Parse reads dollars a unit, as "0.0000025". The value is exact, or an error: there is no rounding, no
// sign and no exponent.
func Parse(s string) (Rate, error) { return parse(s, digits) }

// ParseMillion reads dollars for a million units, as "2.5".
func ParseMillion(s string) (Rate, error) { return parse(s, digits-6) }

// parse reads a decimal number of which places decimal places remain.
func parse(s string, places int) (Rate, error) {
	whole, frac, dot := strings.Cut(s, ".")
	if whole == "" || dot && frac == "" {
		return 0, errDecimal
	}
	n := int64(0)
	add := func(c byte) error {
		if c < '0' || c > '9' {
			return errDecimal
		}
		if n > (math.MaxInt64-9)/10 {
			return errors.New("the price is too large")
		}
		n = n*10 + int64(c-'0')
		return nil
	}
	for i := range len(whole) {
		if err := add(whole[i]); err != nil {
			return 0, err
		}
	}
	for i := range max(places, len(frac)) {
		c := byte('0')
		if i < len(frac) {
			c = frac[i]
		}
		if i >= places {
			if c != '0' {
				return 0, errors.New("the price has more decimal places than can be kept")
			}
			continue
		}
		if err := add(c); err != nil {
			return 0, err
		}
	}
	return Rate(n), nil
}

// String writes dollars a unit: "0.0000025".
func (r Rate) String() string { return r.text(digits) }

// Million writes dollars for a million units: "2.5".
func (r Rate) Million() string { return r.text(digits - 6) }

func (r Rate) text(places int) string {
	s := strconv.FormatInt(int64(r), 10)
	if len(s) <= places {
		s = strings.Repeat("0", places+1-len(s)) + s
	}
	whole, frac := s[:len(s)-places], strings.TrimRight(s[len(s)-places:], "0")
	if frac == "" {
		return whole
	}
	return whole + "." + frac
}

// Pico returns whole pico-dollars (10⁻¹²), rounded up: never less than the exact rate.
func (r Rate) Pico() int64 { return (int64(r) + 999) / 1000 }
