package budgets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// loader makes a table.
type loader struct {
	*Table
	known  map[string]uint32 // shapes, by all that they are
	seen   map[sum]struct{}
	hashes []uint64 // of the rules' owners
	zones  zones
	key    []byte
}

func newLoader() *loader {
	t := &Table{each: map[each]*quota.Budget{}, ids: map[string]*quota.Budget{}}
	t.numbers, t.seed = map[string]uint32{}, maphash.MakeSeed()
	return &loader{Table: t, known: map[string]uint32{}, seen: map[sum]struct{}{}, zones: zones{}}
}

// add adds the rules of an owner.
func (l *loader) add(o *Owned) error {
	names := o.names()
	for _, r := range o.rules(o.Level, l.zones) {
		r.owner = append([]string{o.Level}, names...)
		b := &r.budget
		b.Owner.Name, b.Target = names[len(names)-1], r.target()
		var s sum
		if len(r.each) == 0 {
			s = r.sum()
			b.ID, b.Model = string(appendID(nil, b, &s)), strings.Join(r.models, ", ")
			if err := b.Check(); err != nil {
				return fmt.Errorf("%s of %s: %w", r.path, b.Owner, err)
			}
			if _, twice := l.seen[s]; twice {
				return fmt.Errorf("%s of %s: the same limit is there twice", r.path, b.Owner)
			}
			l.seen[s] = struct{}{}
		}
		l.strict = l.strict || b.Hard()
		of := l.number(o.Organization)
		l.write(l.shapeOf(r), of, r, &s, names)
		if uint64(len(l.text)) > math.MaxUint32 {
			return errors.New("the limits of all owners take over 4 GB")
		}
		l.hashes = append(l.hashes, l.hash(&owner{levelOf(o.Level), of, b.Owner.Name}))
	}
	return nil
}

// shapeOf returns the number of a rule's shape.
func (l *loader) shapeOf(r *rule) uint32 {
	b := &r.budget
	zone := ""
	if b.Window.Zone != nil {
		zone = b.Window.Zone.String()
	}
	k := list(l.key[:0], b.Owner.Level, zone, strconv.FormatBool(b.Window.Zone != nil))
	for _, n := range [...]int64{int64(b.Unit), int64(b.Window.Kind), int64(b.Window.Length), b.Window.Burst, flag(b.Soft), flag(b.Shadow), int64(b.Away), int64(len(b.Alert))} {
		k = binary.AppendVarint(k, n)
	}
	for _, n := range b.Alert {
		k = binary.AppendVarint(k, int64(n))
	}
	for _, of := range [][]string{r.models, r.routes, r.providers, r.each} {
		k = list(k, of...)
	}
	l.key = k
	n, ok := l.known[string(k)]
	if !ok {
		n = uint32(len(l.shapes))
		s := &shape{level: levelOf(b.Owner.Level), budget: *b, scope: r.scope, each: r.each}
		s.budget.ID, s.budget.Owner.Name, s.budget.Limit = "", "", 0
		l.shapes, l.known[string(k)] = append(l.shapes, s), n
	}
	return n
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// write appends the record of a rule. names are those that tell the owner from all others.
func (p *packed) write(shape, organization uint32, r *rule, s *sum, names []string) {
	text := func(s string) { p.text = append(binary.AppendUvarint(p.text, uint64(len(s))), s...) }
	p.text = binary.AppendUvarint(p.text, uint64(shape))
	p.text = binary.AppendUvarint(p.text, uint64(organization))
	text(r.budget.Owner.Name)
	if levelOf(r.budget.Owner.Level) == ofProject {
		text(names[1])
	}
	p.text = binary.AppendUvarint(p.text, uint64(r.budget.Limit))
	if len(r.each) == 0 {
		p.text = append(p.text, s[:]...)
	}
	p.ends = append(p.ends, uint32(len(p.text)))
}

// number returns that of an organization.
func (p *packed) number(organization string) uint32 {
	n, ok := p.numbers[organization]
	if !ok {
		n = uint32(len(p.organizations))
		organization = strings.Clone(organization)
		p.organizations = append(p.organizations, organization)
		p.numbers[organization] = n
	}
	return n
}

// table ends what was begun.
func (l *loader) table() *Table {
	l.order(l.hashes)
	return l.Table
}

// order makes the indexes. hashes are those of the rules' owners.
func (p *packed) order(hashes []uint64) {
	p.text, p.ends = slices.Clone(p.text), slices.Clone(p.ends) // with nothing to spare
	p.next, p.made = make([]uint32, len(p.ends)), make([]atomic.Pointer[quota.Budget], len(p.ends))
	p.owners, p.sums = newIndex(len(p.ends)), newIndex(len(p.ends))
	last := make([]uint32, len(p.ends)) // rule of an owner, by its first
	for at, hash := range hashes {
		r := p.record(at)
		if len(r.each) == 0 {
			p.sums.add(r.sum.hash(), at)
		}
		first := p.owners.find(hash, func(other int) bool {
			o := p.record(other)
			return r.organization == o.organization && r.level == o.level && string(r.name) == string(o.name)
		})
		if first < 0 {
			p.owners.add(hash, at)
			last[at] = uint32(at)
			continue
		}
		p.next[last[first]] = uint32(at)
		last[first] = uint32(at)
	}
}
