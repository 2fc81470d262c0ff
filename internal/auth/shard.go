package auth

import (
	"bytes"
	"cmp"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// shard is secrets whose digests begin alike, in the order of their digests. It holds few pointers and no text of its own
// for each: a million keys are to cost about 100 MB, and a collection of garbage is to have little to follow. Once a
// Directory has it, only made changes.
type shard struct {
	digests []Digest
	groups  []*group
	ends    []uint32 // of records in text
	text    []byte
	made    []atomic.Pointer[made] // keys in use, by the second byte of their digests; its length is a power of two
}

// group is what many keys have in common.
type group struct {
	Owner
	role   Role
	bounds *bounds // nil: there are none
}

// bounds is what only some keys have.
type bounds struct {
	text  string // the same for what is the same
	scope Scope
	tags  map[string]string
}

// made is a key as requests use it.
type made struct {
	digest Digest
	until  time.Time
	key    Key
}

// inUse is how many keys a shard keeps made: 65,536 in a Directory, in about 25 MB. Where more are in use, some are made for
// each request, which takes two allocations.
const inUse = 256

// A record is flags, the moments that they announce, in microseconds, the length of the key's id, the id and the name.
const (
	another byte = 1 << iota // the key has another secret, which stands for it where keys are listed
	ends                     // the key expires
	fades                    // the secret ends before the key
)

// record is a record that was read. What it names is a part of the shard.
type record struct {
	flags          byte
	expires, until int64
	id, name       []byte
}

// entry is a secret that is to be written.
type entry struct {
	*Issued
	another bool
}

// write appends a record.
func write(to []byte, i entry) []byte {
	flags := byte(0)
	if i.another {
		flags |= another
	}
	if !i.Key.Expires.IsZero() {
		flags |= ends
	}
	if !i.Until.IsZero() {
		flags |= fades
	}
	to = append(to, flags)
	if flags&ends != 0 {
		to = binary.AppendVarint(to, i.Key.Expires.UnixMicro())
	}
	if flags&fades != 0 {
		to = binary.AppendVarint(to, i.Until.UnixMicro())
	}
	to = binary.AppendUvarint(to, uint64(len(i.Key.ID)))
	return append(append(to, i.Key.ID...), i.Key.Name...)
}

// bytes returns the record at a place as it is written.
func (s *shard) bytes(at int) []byte {
	begin := uint32(0)
	if at > 0 {
		begin = s.ends[at-1]
	}
	return s.text[begin:s.ends[at]]
}

func (s *shard) record(at int) (r record) {
	b := s.bytes(at)
	r.flags, b = b[0], b[1:]
	if r.flags&ends != 0 {
		v, n := binary.Varint(b)
		r.expires, b = v, b[n:]
	}
	if r.flags&fades != 0 {
		v, n := binary.Varint(b)
		r.until, b = v, b[n:]
	}
	size, n := binary.Uvarint(b)
	b = b[n:]
	r.id, r.name = b[:size], b[size:]
	return r
}

// key makes the key at a place.
func (s *shard) key(at int, r *record, k *Key) {
	text, g := string(r.id)+string(r.name), s.groups[at] // a copy, which holds nothing else
	*k = Key{ID: text[:len(r.id)], Name: text[len(r.id):], Owner: g.Owner, Role: g.role}
	if r.flags&ends != 0 {
		k.Expires = time.UnixMicro(r.expires).UTC()
	}
	if g.bounds != nil {
		k.Scope, k.Tags = g.bounds.scope, g.bounds.tags
	}
}

// find returns the key of a digest, nil: it has none. One that was found lately costs no allocation.
func (s *shard) find(digest *Digest) *made {
	if s == nil {
		return nil
	}
	slot := &s.made[int(digest[1])&(len(s.made)-1)]
	if m := slot.Load(); m != nil && subtle.ConstantTimeCompare(m.digest[:], digest[:]) == 1 {
		return m
	}
	at := s.place(digest)
	if at < 0 {
		return nil
	}
	r := s.record(at)
	m := &made{digest: *digest}
	s.key(at, &r, &m.key)
	if r.flags&fades != 0 {
		m.until = time.UnixMicro(r.until).UTC()
	}
	slot.Store(m)
	return m
}

func (s *shard) len() int {
	if s == nil {
		return 0
	}
	return len(s.digests)
}

// place returns where a digest is, -1: it is not there. It branches by the order of the first 8 bytes alone.
func (s *shard) place(digest *Digest) int {
	want := binary.BigEndian.Uint64(digest[:])
	for at := s.from(want); at < len(s.digests) && binary.BigEndian.Uint64(s.digests[at][:]) == want; at++ {
		if subtle.ConstantTimeCompare(s.digests[at][:], digest[:]) == 1 {
			return at
		}
	}
	return -1
}

// from returns the first place whose digest does not begin with less than 8 bytes.
func (s *shard) from(want uint64) int {
	low, high := 0, len(s.digests)
	for low < high {
		if mid := (low + high) / 2; binary.BigEndian.Uint64(s.digests[mid][:]) < want {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// sized makes a shard with room for a number of secrets and bytes of records.
func sized(n, text int) *shard {
	return &shard{digests: make([]Digest, 0, n), groups: make([]*group, 0, n), ends: make([]uint32, 0, n), text: make([]byte, 0, text)}
}

// add appends a secret whose record has been appended to text.
func (s *shard) add(digest *Digest, g *group) {
	s.digests, s.groups, s.ends = append(s.digests, *digest), append(s.groups, g), append(s.ends, uint32(len(s.text)))
}

// pick returns a shard of the secrets at places, which are in order, with nothing to spare; nil: there are none.
func (s *shard) pick(places []int) *shard {
	if len(places) == 0 {
		return nil
	}
	size := 0
	for _, at := range places {
		size += len(s.bytes(at))
	}
	out := sized(len(places), size)
	for _, at := range places {
		out.text = append(out.text, s.bytes(at)...)
		out.add(&s.digests[at], s.groups[at])
	}
	slots := 1
	for slots < inUse && slots < len(places) {
		slots *= 2
	}
	out.made = make([]atomic.Pointer[made], slots)
	return out
}

// order returns a shard of the secrets in the order of their digests. Of those with one digest the last one counts.
func (s *shard) order() *shard {
	places := make([]int, len(s.digests))
	for at := range places {
		places[at] = at
	}
	slices.SortFunc(places, func(a, b int) int {
		return cmp.Or(bytes.Compare(s.digests[a][:], s.digests[b][:]), cmp.Compare(b, a))
	})
	return s.pick(slices.CompactFunc(places, func(a, b int) bool { return s.digests[a] == s.digests[b] }))
}

// edit returns the shard without some digests, and with the secrets that are added; nil: none is left. It copies all: some
// 4,000 secrets where a Directory has a million.
func (s *shard) edit(without []Digest, with []entry) *shard {
	var all shard
	if s != nil { // what is appended is put elsewhere
		all = shard{digests: slices.Clip(s.digests), groups: slices.Clip(s.groups), ends: slices.Clip(s.ends), text: slices.Clip(s.text)}
	}
	places := make([]int, 0, len(all.digests)+len(with))
	for at := range all.digests {
		if !slices.Contains(without, all.digests[at]) {
			places = append(places, at)
		}
	}
	for _, e := range with {
		g := all.group(e.Key)
		all.text = write(all.text, e)
		all.add(&e.Digest, g)
		at, there := slices.BinarySearchFunc(places, e.Digest, func(at int, d Digest) int { return bytes.Compare(all.digests[at][:], d[:]) })
		if !there {
			places = slices.Insert(places, at, 0)
		}
		places[at] = len(all.digests) - 1
	}
	return all.pick(places)
}

// names is what tells groups apart.
type names struct {
	Owner
	role   Role
	bounds string
}

func namesOf(k *Key) names {
	n := names{Owner: k.Owner, role: k.Role}
	if s := &k.Scope; !s.Unbounded() || len(k.Tags) > 0 {
		n.bounds = fmt.Sprintf("%q %q %d %q %s %q %q", s.Models, s.Routes, s.Operations, s.Regions, s.Networks, s.Templates, k.Tags)
	}
	return n
}

// newGroup makes the group of a key.
func newGroup(k *Key, n names) *group {
	g := &group{Owner: k.Owner, role: k.Role}
	if n.bounds != "" {
		g.bounds = &bounds{n.bounds, k.Scope, k.Tags}
	}
	return g
}

func (g *group) is(n *names) bool {
	if g.Owner != n.Owner || g.role != n.role || g.bounds == nil {
		return g.Owner == n.Owner && g.role == n.role && n.bounds == ""
	}
	return g.bounds.text == n.bounds
}

// group returns the group that a key shares with one of the shard, or a new one.
func (s *shard) group(k *Key) *group {
	n := namesOf(k)
	if at := slices.IndexFunc(s.groups, func(g *group) bool { return g.is(&n) }); at >= 0 {
		return s.groups[at]
	}
	return newGroup(k, n)
}
