package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
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
type Directory struct {
	peppers [][]byte
	live    sync.Map // Digest → *Issued
	held    atomic.Int64
}

// NewDirectory makes an empty directory. A digest is HMAC-SHA-256 of a key's SHA-256 under a pepper: who has the
// database alone can test no guess. The first pepper is that of new keys; others are of keys made before it was changed.
// Without any, a digest is the SHA-256 itself.
func NewDirectory(peppers ...secret.Value) *Directory {
	d := &Directory{}
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

// Replace puts all keys in place of those that are there.
func (d *Directory) Replace(all []Issued) {
	keep := make(map[Digest]bool, len(all))
	for i := range all {
		keep[all[i].Digest] = true
		d.live.Store(all[i].Digest, &all[i])
	}
	d.live.Range(func(k, _ any) bool {
		if digest, ok := k.(Digest); ok && !keep[digest] {
			d.live.Delete(k)
		}
		return true
	})
	d.held.Store(int64(len(keep)))
}

// Change puts the secrets of one key in place of those it had; none: the key is no more. One that stays is never away.
func (d *Directory) Change(id string, now []Issued) {
	keep := make(map[Digest]bool, len(now))
	for i := range now {
		keep[now[i].Digest] = true
		if _, there := d.live.Swap(now[i].Digest, &now[i]); !there {
			d.held.Add(1)
		}
	}
	d.live.Range(func(k, v any) bool {
		digest, _ := k.(Digest)
		if old, ok := v.(*Issued); ok && old.Key.ID == id && !keep[digest] {
			d.live.Delete(k)
			d.held.Add(-1)
		}
		return true
	})
}

// Len returns the number of secrets.
func (d *Directory) Len() int {
	if d == nil {
		return 0
	}
	return int(d.held.Load())
}

// All returns the keys, each once.
func (d *Directory) All() (out []*Key) {
	if d == nil {
		return nil
	}
	seen := map[string]bool{}
	d.live.Range(func(_, v any) bool {
		if i, ok := v.(*Issued); ok && !seen[i.Key.ID] {
			seen[i.Key.ID] = true
			out = append(out, i.Key)
		}
		return true
	})
	return out
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
	v, _ := d.live.Load(digest)
	i, ok := v.(*Issued)
	if !ok || subtle.ConstantTimeCompare(i.Digest[:], digest[:]) != 1 || !i.Until.IsZero() && !now.Before(i.Until) {
		return nil
	}
	return i.Key
}
