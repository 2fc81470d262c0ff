// Package auth tells who a client is by the key it presents.
//
//	request headers → FromHeaders → Presented → (*Keys).Check → Identity
//
// Only Check makes an Identity that is authenticated; whatever goes wrong before leaves the zero value,
// which is not. Keys are known by their SHA-256 alone: they are random, so a slow hash would add nothing.
// The package does not decide what an identity may do, and never shows a key, in errors or elsewhere.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

const op = "auth"

// Key is a client's key as the configuration has it.
type Key struct {
	Name string   // for logs, metrics and the ledger
	Hash [32]byte // SHA-256 of the key
}

// Identity is who a request is from. The zero value is nobody.
type Identity struct {
	name     string
	verified bool
}

// Name returns the name of the client's key, "anonymous" where keys are not asked for, and "" for nobody.
func (i Identity) Name() string { return i.name }

// Authenticated reports whether the identity comes from Check.
func (i Identity) Authenticated() bool { return i.verified }

// Keys are the keys that are let in. The zero value and nil let nobody in. Keys does not change once made.
type Keys struct {
	byHash map[[sha256.Size]byte]Key
	open   bool
}

// NewKeys makes the set of keys. With none, nobody is let in. Of two keys with the same hash the first counts.
func NewKeys(keys []Key) *Keys {
	k := &Keys{byHash: make(map[[sha256.Size]byte]Key, len(keys))}
	for _, key := range keys {
		if _, ok := k.byHash[key.Hash]; !ok {
			k.byHash[key.Hash] = key
		}
	}
	return k
}

// Open lets everybody in, with any key or none, as "anonymous".
func Open() *Keys { return &Keys{open: true} }

// Check returns the identity that a credential proves. Its error is an *llm.Error with
// CodeUnauthenticated, the same one for every key that is not let in.
func (k *Keys) Check(p Presented) (Identity, error) {
	if k != nil && k.open {
		return Identity{name: "anonymous", verified: true}, nil
	}
	switch p.kind {
	case nothing:
		return Identity{}, denied("no API key; send it as authorization: Bearer KEY or in one of " + strings.Join(keyHeaders, ", "))
	case otherScheme:
		return Identity{}, denied("the authorization header must be Bearer KEY")
	}
	var known Key // the dummy that an unknown key is compared with
	found := false
	if k != nil {
		known, found = k.byHash[p.sum]
	}
	if same := subtle.ConstantTimeCompare(known.Hash[:], p.sum[:]) == 1; !found || !same {
		return Identity{}, denied("the API key is not valid")
	}
	return Identity{name: known.Name, verified: true}, nil
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
