// Package auth tells who a client is and what it may do.
//
//	request headers → Gate.Admit → Identity (owner, role, scope) → Identity.Use, Scope
//
// Only a Gate makes an Identity that is authenticated; whatever goes wrong before leaves the zero value, which is not.
// Keys are known by their SHA-256 alone: they are random, so a slow hash would add nothing. The package asks nobody:
// everything that it decides with is in memory. It never shows a key, in errors or elsewhere, and nothing of other
// keys than the client's own.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

const op = "auth"

// Gate lets clients in. The zero value and nil let nobody in. It is safe for concurrent use and does not change once
// made.
type Gate struct {
	byHash    map[[sha256.Size]byte]*Key
	anonymous *Key // nil: keys are asked for
	hops      int
}

// NewGate makes a gate for keys. With none, nobody is let in. Of two keys with the same hash the first counts.
func NewGate(keys []*Key) *Gate {
	g := &Gate{byHash: make(map[[sha256.Size]byte]*Key, len(keys))}
	for _, key := range keys {
		if _, ok := g.byHash[key.Hash]; !ok {
			g.byHash[key.Hash] = key
		}
	}
	return g
}

// Open lets everybody in, with any key or none, as "anonymous".
func Open() *Gate {
	return &Gate{anonymous: &Key{ID: "anonymous", Name: "anonymous", Owner: Owner{Organization: DefaultOrganization}, Role: RoleMember}}
}

// Behind returns the gate as it is behind proxies whose x-forwarded-for is believed.
func (g *Gate) Behind(hops int) *Gate {
	behind := *g
	behind.hops = hops
	return &behind
}

// Request is what a request shows of who it is from.
type Request struct {
	Header func(name string) []string // all values of a header by its lower-case name
	Now    time.Time
}

// Admit returns the identity that a request proves. Its error is an *llm.Error: with CodeInvalid for credentials that
// contradict each other, with CodeUnauthenticated, the same one, for every key that is not let in, and with
// CodeForbidden for one that is, but not from where it comes.
func (g *Gate) Admit(r Request) (Identity, error) {
	p, err := FromHeaders(r.Header)
	if err != nil {
		return Identity{}, err
	}
	if g != nil && g.anonymous != nil {
		return Identity{key: g.anonymous}, nil
	}
	key, err := g.check(p)
	if err != nil {
		return Identity{}, err
	}
	if !key.Expires.IsZero() && !r.Now.Before(key.Expires) {
		return Identity{}, denied("the API key has expired")
	}
	if len(key.Scope.Networks) > 0 && !key.Scope.Network(clientAddress(r.Header(forwardedFor), g.hops)) {
		return Identity{}, forbidden("this key may not be used from the network that the request comes from")
	}
	return Identity{key: key}, nil
}

// check finds the key that was presented.
func (g *Gate) check(p Presented) (*Key, error) {
	switch p.kind {
	case nothing:
		return nil, denied("no API key; send it as authorization: Bearer KEY or in one of " + strings.Join(keyHeaders, ", "))
	case otherScheme:
		return nil, denied("the authorization header must be Bearer KEY")
	}
	var hash [sha256.Size]byte // the dummy that an unknown key is compared with
	var known *Key
	if g != nil {
		if known = g.byHash[p.sum]; known != nil {
			hash = known.Hash
		}
	}
	if same := subtle.ConstantTimeCompare(hash[:], p.sum[:]) == 1; known == nil || !same {
		return nil, denied("the API key is not valid")
	}
	return known, nil
}

const forwardedFor = "x-forwarded-for"

// clientAddress returns the address of the client, as Envoy tells it: the last one of x-forwarded-for is that of the
// peer, which Envoy appends, and each proxy that is believed stands for one more. It is invalid where it is not known.
func clientAddress(values []string, hops int) netip.Addr {
	if len(values) == 0 {
		return netip.Addr{}
	}
	list := strings.Split(strings.Join(values, ","), ",")
	at := len(list) - 1 - hops
	if at < 0 {
		at = len(list) - 1
	}
	a, err := netip.ParseAddr(strings.TrimSpace(list[at]))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

func denied(message string) error {
	return &llm.Error{Code: llm.CodeUnauthenticated, Op: op, Message: message}
}

const hashScheme = "sha256:"

var errHash = errors.New("a key's hash must be sha256: and 64 hexadecimal digits")

// ParseHash reads a hash as HashKey writes it. Its error does not repeat the text, which may be a key.
func ParseHash(s string) ([32]byte, error) {
	var sum [sha256.Size]byte
	digits, ok := strings.CutPrefix(s, hashScheme)
	if !ok || len(digits) != hex.EncodedLen(len(sum)) {
		return [32]byte{}, errHash
	}
	if _, err := hex.Decode(sum[:], []byte(digits)); err != nil {
		return [32]byte{}, errHash
	}
	return sum, nil
}

// HashKey returns what stands for a key in the configuration: sha256: and 64 hexadecimal digits.
func HashKey(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hashScheme + hex.EncodeToString(sum[:])
}
