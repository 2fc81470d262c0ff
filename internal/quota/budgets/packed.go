package budgets

import (
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// packed is rules in bytes, in the order in which they were given. It holds no pointer for each, as a store may have very many,
// most of which nobody asks for: a hundred thousand are to cost about 10 MB, and a collection of garbage is to have little to
// follow. It does not change, but for the budgets in use, which it keeps made.
type packed struct {
	shapes        []*shape
	organizations []string
	numbers       map[string]uint32 // of organizations
	text          []byte
	ends          []uint32 // of records in text
	next          []uint32 // by rule, the owner's next one, which comes behind it; 0: none
	owners        index    // the first rule of each
	sums          index    // the rules with a budget of their own, by the sum in its id
	seed          maphash.Seed

	made []atomic.Pointer[quota.Budget] // by rule
	used atomic.Int64                   // of them
}

// mostMade is how many budgets are kept made, in about 16 MB. Where more are in use, some are made for each request, which takes
// two allocations.
const mostMade = 65_536

// shape is what many rules have in common: all but whose a rule is, and its limit.
type shape struct {
	level  level
	budget quota.Budget // without id, name of the owner and limit
	scope
	each []string
}

// A record is the number of the shape, the number of the organization, the length of the owner's name and that name, of a project
// as much of its team, the limit and, of a rule with a budget of its own, the sum in the budget's id.

// record is a record that was read. What it names is a part of the text.
type record struct {
	*shape
	organization uint32
	name, team   []byte
	limit        int64
	sum          sum
}

// shape returns that of a rule, and the rest of the record.
func (p *packed) shape(at int) (*shape, []byte) {
	begin := uint32(0)
	if at > 0 {
		begin = p.ends[at-1]
	}
	b := p.text[begin:p.ends[at]]
	if b[0] < 0x80 { // as most are, and each request comes by here for each of its limits
		return p.shapes[b[0]], b[1:]
	}
	n, b := uvarint(b)
	return p.shapes[n], b
}

// record reads that of a rule.
func (p *packed) record(at int) (r record) {
	var b []byte
	r.shape, b = p.shape(at)
	n, b := uvarint(b)
	r.organization = uint32(n)
	n, b = uvarint(b)
	r.name, b = b[:n], b[n:]
	if r.level == ofProject {
		n, b = uvarint(b)
		r.team, b = b[:n], b[n:]
	}
	n, b = uvarint(b)
	r.limit = int64(n)
	copy(r.sum[:], b)
	return r
}

// uvarint reads a number, of which most are short.
func uvarint(b []byte) (uint64, []byte) {
	if b[0] < 0x80 {
		return uint64(b[0]), b[1:]
	}
	v, n := binary.Uvarint(b)
	return v, b[n:]
}

// owner is an owner within an organization.
type owner struct {
	level        level
	organization uint32
	name         string
}

// level is that of an owner.
type level uint8

const (
	ofOrganization level = iota
	ofTeam
	ofProject
	ofKey
	ofNobody // whom no exchange is charged to
)

func levelOf(name string) level {
	switch name {
	case "organization":
		return ofOrganization
	case "team":
		return ofTeam
	case "project":
		return ofProject
	case "key":
		return ofKey
	}
	return ofNobody
}

// hash returns that of an owner.
func (p *packed) hash(o *owner) uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: small numbers are spread
	return maphash.String(p.seed, o.name) + (uint64(o.organization)<<3|uint64(o.level))*odd
}

// first returns the first rule of an owner, -1: there is none.
func (p *packed) first(o *owner) int {
	return p.owners.find(p.hash(o), func(at int) bool {
		s, b := p.shape(at)
		if s.level != o.level {
			return false
		}
		organization, b := uvarint(b)
		size, b := uvarint(b)
		return uint32(organization) == o.organization && string(b[:size]) == o.name
	})
}

// behind returns the owner's next rule, -1: there is none.
func (p *packed) behind(at int) int {
	if next := p.next[at]; next > 0 {
		return int(next)
	}
	return -1
}

// byID returns the budget of an id, nil: no rule has it.
func (p *packed) byID(id string) (b *quota.Budget) {
	at := p.sums.find(hashOf(id), func(at int) bool {
		b = p.budget(at)
		return b.ID == id
	})
	if at < 0 {
		return nil
	}
	return b
}

// budget returns the budget of a rule. One that is kept made costs no allocation, and is the same each time.
func (p *packed) budget(at int) *quota.Budget {
	if b := p.made[at].Load(); b != nil {
		return b
	}
	return p.keep(at, p.build(at))
}

// build makes the budget of a rule.
func (p *packed) build(at int) *quota.Budget {
	r := p.record(at)
	b := r.budget
	text := append(appendID(make([]byte, 0, 128), &b, &r.sum), r.name...)
	all := string(text) // in one piece
	b.ID, b.Owner.Name, b.Limit = all[:len(all)-len(r.name)], all[len(all)-len(r.name):], r.limit
	return &b
}

// keep keeps a budget made, and returns it, or the one that was made meanwhile. Where too many are kept, another gives way, by
// chance: in whatever order budgets are asked for, most are found then.
func (p *packed) keep(at int, b *quota.Budget) *quota.Budget {
	if !p.made[at].CompareAndSwap(nil, b) {
		if other := p.made[at].Load(); other != nil {
			return other
		}
		return b
	}
	if p.used.Add(1) <= mostMade {
		return b
	}
	for i := rand.IntN(len(p.made)); ; i = (i + 1) % len(p.made) {
		if i != at && p.made[i].Swap(nil) != nil {
			p.used.Add(-1)
			return b
		}
	}
}

// rule makes a rule again, for a budget of its own for one of something.
func (p *packed) rule(at int) *rule {
	r := p.record(at)
	out := &rule{budget: r.budget, scope: r.scope, each: r.each}
	out.budget.Limit, out.budget.Owner.Name = r.limit, string(r.name)
	o := Owned{Level: r.budget.Owner.Level, Party: p.party(&r, out.budget.Owner.Name)}
	out.owner = append([]string{o.Level}, o.names()...)
	return out
}

// party is the owner of a rule. name is its name, as a text of its own.
func (p *packed) party(r *record, name string) Party {
	out := Party{Organization: p.organizations[r.organization]}
	switch r.level {
	case ofTeam:
		out.Team = name
	case ofProject:
		out.Team, out.Project = string(r.team), name
	case ofKey:
		out.Key = name
	}
	return out
}
