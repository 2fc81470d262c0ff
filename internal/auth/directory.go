package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Digest is the keyed hash by which an issued key is known.
type Digest [sha256.Size]byte

// Issued is a secret of a key that a store holds. A key that is being rotated has two.
type Issued struct {
	Digest Digest
	Until  time.Time // zero: as long as the key
	Key    *Key
}

// Directory is the keys that a store has issued, by their digests: an index in memory, which a change feed keeps
// fresh. Looking up asks no lock. It is safe for concurrent use.
//
// A key takes some 100 bytes, and is made an [*auth.Key] when it is found; the ones in use are kept made. All of it is kept but
// Hash, which is nothing of an issued key.
type Directory struct {
	peppers [][]byte
	live    [256]atomic.Pointer[shard] // by the first byte of digests
	held    atomic.Int64
	mu      sync.Mutex // of changes
	ids     index
}

// NewDirectory makes an empty directory. A digest is HMAC-SHA-256 of a key's SHA-256 under a pepper: who has the
// database alone can test no guess. The first pepper is that of new keys; others are of keys made before it was changed.
// Without any, a digest is the SHA-256 itself.
func NewDirectory(peppers ...secret.Value) *Directory {
	d := &Directory{ids: index{seed: maphash.MakeSeed()}}
	for _, p := range peppers {
		d.peppers = append(d.peppers, []byte(p.Reveal()))
	}
	return d
}

// Digest returns what a store keeps of a new key.
func (d *Directory) Digest(key string) Digest {
	sum := sha256.Sum256([]byte(key))
	if len(d.peppers) == 0 {
		return sum
	}
	return seal(d.peppers[0], sum)
}

func seal(pepper []byte, sum [sha256.Size]byte) (out Digest) {
	m := hmac.New(sha256.New, pepper)
	m.Write(sum[:])
	m.Sum(out[:0])
	return out
}

// Replace puts all keys in place of those that are there. The secrets of one key follow each other.
func (d *Directory) Replace(all []Issued) {
	_ = d.Load(func(yield func(Issued, error) bool) {
		for i := range all {
			if !yield(all[i], nil) {
				return
			}
		}
	})
}

// Load does as Replace, with one secret after the other: nothing of an Issued is held on to but its lists, tags and owner's
// names. After an error, which is returned, all is as it was.
func (d *Directory) Load(all iter.Seq2[Issued, error]) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var next [len(d.live)]*shard
	ids, groups, last := index{seed: d.ids.seed}, map[names]*group{}, ""
	for i, err := range all {
		if err != nil {
			return err
		}
		s := next[i.Digest[0]]
		if s == nil {
			s = &shard{}
			next[i.Digest[0]] = s
		}
		n := namesOf(i.Key)
		g := groups[n]
		if g == nil {
			g = newGroup(i.Key, n)
			groups[n] = g
		}
		s.text = write(s.text, entry{&i, i.Key.ID == last})
		s.add(&i.Digest, g)
		ids.add(i.Key.ID, &i.Digest)
		last = i.Key.ID
	}
	ids.order()
	n := 0
	for at, s := range next {
		if s != nil {
			s = s.order()
			n += len(s.digests)
		}
		d.live[at].Store(s)
		next[at] = nil
	}
	d.ids = ids
	d.held.Store(int64(n))
	return nil
}

// Change puts the secrets of one key in place of those it had; none: the key is no more. One that stays is never away.
//
// It copies the part of the directory that a secret is in, a 256th: with a million keys some 400 kB, twice, which takes 0.15 ms.
func (d *Directory) Change(id string, now []Issued) {
	d.mu.Lock()
	defer d.mu.Unlock()
	gone := d.secrets(id)
	for i := range gone {
		d.ids.remove(id, &gone[i])
	}
	var with [len(d.live)][]entry
	var parts []byte // those with a secret that is there afterwards first: then the key is not away between them
	for i := range now {
		at := now[i].Digest[0]
		with[at] = append(with[at], entry{&now[i], i > 0})
		parts, gone = append(parts, at), append(gone, now[i].Digest)
		d.ids.insert(id, &now[i].Digest)
	}
	for i := range gone {
		parts = append(parts, gone[i][0])
	}
	var done [len(d.live)]bool
	for _, at := range parts {
		if done[at] {
			continue
		}
		done[at] = true
		old := d.live[at].Load()
		s := old.edit(gone, with[at])
		d.live[at].Store(s)
		d.held.Add(int64(s.len() - old.len()))
	}
}

// secrets returns the digests of a key.
func (d *Directory) secrets(id string) (all []Digest) {
	for begin := range d.ids.of(id) {
		s := d.live[begin>>24].Load()
		if s == nil {
			continue
		}
		for at := s.from(uint64(begin) << 32); at < len(s.digests) && binary.BigEndian.Uint32(s.digests[at][:]) == begin; at++ {
			if r := s.record(at); string(r.id) == id && !slices.Contains(all, s.digests[at]) {
				all = append(all, s.digests[at])
			}
		}
	}
	return all
}

// Len returns the number of secrets.
func (d *Directory) Len() int {
	if d == nil {
		return 0
	}
	return int(d.held.Load())
}

// All returns the keys, each once. They are made one by one.
func (d *Directory) All() iter.Seq[*Key] {
	return d.which(func(*record) bool { return true })
}

// Ending returns the keys that expire between two times.
func (d *Directory) Ending(from, to time.Time) iter.Seq[*Key] {
	begin, end := from.UnixMicro(), to.UnixMicro()
	return d.which(func(r *record) bool { return r.flags&ends != 0 && begin <= r.expires && r.expires < end })
}

func (d *Directory) which(wanted func(*record) bool) iter.Seq[*Key] {
	return func(yield func(*Key) bool) {
		if d == nil {
			return
		}
		for i := range d.live {
			s := d.live[i].Load()
			for at := range s.len() {
				r := s.record(at)
				if r.flags&another != 0 || !wanted(&r) {
					continue
				}
				k := &Key{}
				if s.key(at, &r, k); !yield(k) {
					return
				}
			}
		}
	}
}

// find returns the key of a SHA-256, or nil.
func (d *Directory) find(sum [sha256.Size]byte, now time.Time) *Key {
	if d.Len() == 0 {
		return nil
	}
	if len(d.peppers) == 0 {
		return d.known(sum, now)
	}
	for _, p := range d.peppers {
		if k := d.known(seal(p, sum), now); k != nil {
			return k
		}
	}
	return nil
}

func (d *Directory) known(digest Digest, now time.Time) *Key {
	m := d.live[digest[0]].Load().find(&digest)
	if m == nil || !m.until.IsZero() && !now.Before(m.until) {
		return nil
	}
	return &m.key
}

// index finds the secrets of a key by its id, in 8 bytes for each: the hash of the id, and the beginning of the digest. What it
// finds may be another key's.
type index struct {
	seed  maphash.Seed
	parts [256][]uint64 // by the first byte of the hash; ordered
}

func (x *index) entry(id string, d *Digest) (part *[]uint64, e uint64) {
	e = maphash.String(x.seed, id)&^(1<<32-1) | uint64(binary.BigEndian.Uint32(d[:]))
	return &x.parts[e>>56], e
}

// add adds a secret, before all are put in order.
func (x *index) add(id string, d *Digest) {
	part, e := x.entry(id, d)
	*part = append(*part, e)
}

func (x *index) order() {
	for i, part := range x.parts {
		slices.Sort(part)
		x.parts[i] = slices.Clone(part) // with nothing to spare
	}
}

func (x *index) insert(id string, d *Digest) {
	part, e := x.entry(id, d)
	at, _ := slices.BinarySearch(*part, e)
	*part = slices.Insert(*part, at, e)
}

func (x *index) remove(id string, d *Digest) {
	part, e := x.entry(id, d)
	if at, ok := slices.BinarySearch(*part, e); ok {
		*part = slices.Delete(*part, at, at+1)
	}
}

// of returns the first four bytes of the digests that an id may have.
func (x *index) of(id string) iter.Seq[uint32] {
	part, begin := x.entry(id, &Digest{})
	at, _ := slices.BinarySearch(*part, begin)
	return func(yield func(uint32) bool) {
		for _, e := range (*part)[at:] {
			if e>>32 != begin>>32 || !yield(uint32(e)) {
				return
			}
		}
	}
}
