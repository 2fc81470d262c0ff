package catalog

import (
	"cmp"
	_ "embed"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

//go:generate go run ./gen

// list is the registry as ./gen writes it. Sources, licences and the day are in NOTICE.
//
//go:embed models.tsv
var list string

// table is the registry as it is used. Its texts alias list.
type table struct {
	asOf    string
	models  []Model
	facts   []atomic.Pointer[Facts] // of models, as far as they were asked for
	recent  [256]atomic.Pointer[recalled]
	seed    maphash.Seed
	vendors map[string]*vendor
	names   []string // of vendors, in their order
}

// vendor is the models of a vendor.
type vendor struct {
	first, end int            // in models
	ids        map[string]int // to models
}

// registry reads the list once, when it is first asked for.
var registry = sync.OnceValue(func() *table {
	t, err := decode(list)
	if err != nil {
		panic("catalog: " + err.Error()) // the list is part of the program
	}
	return t
})

// AsOf returns the day, YYYY-MM-DD, on which the newest of the registry's sources was read.
func AsOf() string { return registry().asOf }

// All returns every known model, by vendor and then by id. The slice must not be changed.
func All() []Model { return registry().models }

// decode reads a list. Lines:
//
//	#as_of DAY
//	@VENDOR
//	ID NAME MODE CONTEXT/OUTPUT CAN.CANNOT CARD REST
//
// with tabs between. An empty NAME is the ID. The abilities are hexadecimal. REST is RDAY (released), KDAY (knowledge),
// XDAY (retires), mN (shortest cached prefix) and dN (dimensions), with spaces between. A CARD is lists of
// rates with a semicolon between: the first without a head; then those with one of
//
//	>N:      above N tokens        =NAME:  service tier
//	N-M:     from N to M tokens    @DAY:   from that day on
//	*NAME:   a factor              %NAME:  a factor for processing in a region
//
// A rate is an item's letter and dollars for a million units.
func decode(list string) (*table, error) {
	const line = 70 // bytes, about
	n := len(list)/line + 16
	t := &table{seed: maphash.MakeSeed(), models: make([]Model, 0, n), vendors: make(map[string]*vendor, 64)}
	d := decoder{cards: make([]price.Card, 0, n), rates: make([]price.Rate, 0, 5*n)}
	var v *vendor
	for at := 1; list != ""; at++ {
		var row string
		row, list, _ = strings.Cut(list, "\n")
		switch {
		case row == "":
			return nil, fmt.Errorf("line %d is empty", at)
		case row[0] == '#':
			if day, ok := strings.CutPrefix(row, "#as_of "); ok {
				t.asOf = day
			}
			continue
		case row[0] == '@' && strings.IndexByte(row, '\t') < 0:
			v = &vendor{first: len(t.models), end: len(t.models), ids: map[string]int{}}
			t.names = append(t.names, row[1:])
			t.vendors[row[1:]] = v
			continue
		case v == nil:
			return nil, fmt.Errorf("line %d stands before any vendor", at)
		}
		m, err := d.model(row)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", at, err)
		}
		m.Vendor = t.names[len(t.names)-1]
		v.ids[m.ID] = len(t.models)
		t.models = append(t.models, m)
		v.end = len(t.models)
	}
	t.facts = make([]atomic.Pointer[Facts], len(t.models))
	return t, nil
}

// decoder holds what models of one list share.
type decoder struct {
	cards []price.Card
	rates []price.Rate
}

func (d *decoder) model(row string) (Model, error) {
	var m Model
	var limits, able, card string
	for _, f := range [...]*string{&m.ID, &m.Name, &m.Mode, &limits, &able, &card} {
		*f, row, _ = strings.Cut(row, "\t")
	}
	if m.Name == "" {
		m.Name = m.ID
	}
	context, output, _ := strings.Cut(limits, "/")
	can, cannot, _ := strings.Cut(able, ".")
	err := first(
		number(&m.Context, context), number(&m.MaxOutput, output), set(&m.Can, can), set(&m.Cannot, cannot),
		d.rest(&m, row),
	)
	if err != nil {
		return m, fmt.Errorf("%s: %w", m.ID, err)
	}
	d.cards = append(d.cards, price.Card{})
	m.Card = &d.cards[len(d.cards)-1]
	if err := d.card(m.Card, card); err != nil {
		return m, fmt.Errorf("%s: price: %w", m.ID, err)
	}
	return m, nil
}

// rest reads what few models have.
func (d *decoder) rest(m *Model, s string) error {
	for s != "" {
		var f string
		f, s, _ = strings.Cut(s, " ")
		var n int64
		switch cmp.Or(f, "?")[0] {
		case 'R':
			m.Dates.Released = f[1:]
		case 'K':
			m.Dates.Knowledge = f[1:]
		case 'X':
			m.Dates.Retires = f[1:]
		case 'm', 'd':
			if err := number(&n, f[1:]); err != nil {
				return err
			}
			if f[0] == 'm' {
				m.CacheMin = int(n)
			} else {
				m.Dimensions = int(n)
			}
		default:
			return fmt.Errorf("unknown field %s", f)
		}
	}
	return nil
}

// card reads a card.
func (d *decoder) card(c *price.Card, s string) error {
	part, s, _ := strings.Cut(s, ";")
	var err error
	if c.Rates, err = d.list(part); err != nil {
		return err
	}
	for s != "" {
		part, s, _ = strings.Cut(s, ";")
		head, body, ok := strings.Cut(part, ":")
		if !ok || head == "" {
			return fmt.Errorf("%s has no head", part)
		}
		if head[0] == '*' || head[0] == '%' {
			milli, err := strconv.ParseInt(body, 10, 64)
			if err != nil {
				return err
			}
			c.Factors = append(c.Factors, price.Factor{Name: head[1:], Region: head[0] == '%', Milli: milli})
			continue
		}
		rates, err := d.list(body)
		if err != nil {
			return err
		}
		if err := headed(c, head, rates); err != nil {
			return err
		}
	}
	return nil
}

// headed adds a list of rates with a head.
func headed(c *price.Card, head string, rates price.Rates) error {
	switch head[0] {
	case '=':
		c.Services = append(c.Services, price.Service{Name: head[1:], Rates: rates})
	case '@':
		day, err := time.Parse(time.DateOnly, head[1:])
		if err != nil {
			return err
		}
		c.Changes = append(c.Changes, price.Change{From: day, Rates: c.At(day).With(rates)})
	case '>':
		n, err := strconv.ParseInt(head[1:], 10, 64)
		c.Tiers = append(c.Tiers, price.Tier{Above: n, Rates: rates})
		return err
	default:
		from, to, _ := strings.Cut(head, "-")
		t := price.Tier{Rates: rates}
		if err := first(number(&t.Above, from), number(&t.UpTo, to)); err != nil {
			return err
		}
		c.Tiers = append(c.Tiers, t)
	}
	return nil
}

// letters are the items' letters, in their order.
const letters = "iocwhrabdmIqRWLMH"

// list reads rates.
func (d *decoder) list(s string) (price.Rates, error) {
	var set uint32
	from := len(d.rates)
	for s != "" {
		item := strings.IndexByte(letters, s[0])
		if item < 0 {
			return price.Rates{}, fmt.Errorf("unknown item %q", s[0])
		}
		end := 1
		for end < len(s) && (s[end] == '.' || s[end] >= '0' && s[end] <= '9') {
			end++
		}
		r, err := price.ParseMillion(s[1:end])
		if err != nil {
			return price.Rates{}, err
		}
		if set>>item != 0 {
			return price.Rates{}, fmt.Errorf("item %q is out of order", s[0])
		}
		set |= 1 << item
		d.rates = append(d.rates, r)
		s = s[end:]
	}
	return price.NewRates(set, d.rates[from:len(d.rates):len(d.rates)]), nil
}

// number reads an integer that may be missing.
func number(to *int64, s string) error {
	if s == "" {
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	*to = n
	return err
}

func set(to *ability.Set, s string) error {
	if s == "" {
		return nil
	}
	n, err := strconv.ParseUint(s, 16, 32)
	*to = ability.Set(n)
	return err
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
