package providers

import (
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Key is one credential of a provider. ID is safe to show.
type Key struct {
	ID     string
	Secret secret.Value
}

// Keyring is the credentials of a provider, used in turn. It does not change once made.
type Keyring struct {
	keys []Key
	turn atomic.Uint32
}

// NewKeyring makes a keyring. Without keys the provider is used without a credential.
func NewKeyring(keys ...Key) *Keyring { return &Keyring{keys: keys} }

// Len returns the number of keys.
func (r *Keyring) Len() int { return len(r.keys) }

// Find returns the key of an ID.
func (r *Keyring) Find(id string) (Key, bool) {
	for _, k := range r.keys {
		if k.ID == id {
			return k, true
		}
	}
	return Key{}, false
}

// IDs returns the keys' ids, "" alone where there are none.
func (r *Keyring) IDs() []string {
	if len(r.keys) == 0 {
		return []string{""}
	}
	ids := make([]string, len(r.keys))
	for i := range r.keys {
		ids[i] = r.keys[i].ID
	}
	return ids
}

// Pick appends up to n keys for one exchange to ids, each turn beginning with the next key. Keys that rest are
// left out; when all rest, the one that rests the shortest is given alone, with rested false.
func (r *Keyring) Pick(ids []string, n int, resting func(id string) (until time.Time, resting bool)) (_ []string, rested bool) {
	if len(r.keys) == 0 {
		return append(ids, ""), true
	}
	first := int(r.turn.Add(1)-1) % len(r.keys)
	had := len(ids)
	var soonest time.Time
	least := ""
	for i := range r.keys {
		k := &r.keys[(first+i)%len(r.keys)]
		until, rests := resting(k.ID)
		if !rests {
			if ids = append(ids, k.ID); len(ids)-had == n {
				break
			}
			continue
		}
		if least == "" || until.Before(soonest) {
			least, soonest = k.ID, until
		}
	}
	if len(ids) > had {
		return ids, true
	}
	return append(ids, least), false
}
