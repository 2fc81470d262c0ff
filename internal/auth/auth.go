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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

const op = "auth"

// Gate lets clients in. The zero value and nil let nobody in. It is safe for concurrent use, and does not change once
// made, but for its Directory and Limiter, which outlive it.
type Gate struct {
	byHash    map[[sha256.Size]byte]*Key
	anonymous *Key // nil: keys are asked for
	Options
}

// Options of a Gate.
type Options struct {
	Issued       *Directory    // keys of a store; nil: there are none
	Provided     *Provided     // keys of providers that teams have brought; nil: there are none
	Issuers      []Issuer      // of tokens that Envoy has verified
	Certificates []Certificate // of clients, which Envoy has verified; the first that fits counts
	Failures     *Limiter      // nil: wrong keys are not limited
	Hops         int           // proxies in front of Envoy whose x-forwarded-for is believed
	UserHeader   string        // the header that names the end user; "": none does
	UserFields   []string      // members of the body that name the end user, as metadata.user_id; the first that is there counts
}

// Own returns the key of a provider that an owner's team has brought; ok is false where it has none.
func (g *Gate) Own(of Owner, provider string) (key secret.Value, ok bool) {
	if g == nil {
		return key, false
	}
	return g.Provided.Find(of, provider)
}

// NewGate makes a gate for keys. Of two keys with the same hash the first counts.
func NewGate(keys []*Key, o Options) *Gate {
	g := &Gate{byHash: make(map[[sha256.Size]byte]*Key, len(keys)), Options: o}
	for _, key := range keys {
		if _, ok := g.byHash[key.Hash]; !ok {
			g.byHash[key.Hash] = key
		}
	}
	return g
}

// Open lets everybody in, with any key or none, as "anonymous".
func Open(o Options) *Gate {
	return &Gate{Options: o, anonymous: &Key{ID: "anonymous", Name: "anonymous", Owner: Owner{Organization: DefaultOrganization}, Role: RoleMember}}
}

// Request is what a request shows of who it is from.
type Request struct {
	Header func(name string) []string // all values of a header by its lower-case name
	Proof  Proof                      // what Envoy has verified of a token
	Now    time.Time
}

// Assume returns the identity of the client with a key of a name or id, as if it had presented it, to explain what would
// become of its requests; where everybody is let in, it is everybody's. Of keys of a store that share a name, in several organizations, none is meant by it.
func (g *Gate) Assume(name string) (Identity, bool) {
	switch {
	case g == nil:
		return Identity{}, false
	case g.anonymous != nil && (name == "" || name == g.anonymous.Name):
		return Identity{key: g.anonymous}, true
	}
	for _, k := range g.byHash {
		if name != "" && (k.ID == name || k.Name == name) {
			return Identity{key: k}, true
		}
	}
	if name == "" {
		return Identity{}, false
	}
	var named []*Key
	for k := range g.Issued.All() {
		if k.ID == name {
			return Identity{key: k}, true
		}
		if k.Name == name {
			named = append(named, k)
		}
	}
	if len(named) != 1 {
		return Identity{}, false
	}
	return Identity{key: named[0]}, true
}

// Names returns the names of the keys that the gate was made with, in order.
func (g *Gate) Names() (names []string) {
	for _, k := range g.byHash {
		names = append(names, k.Name)
	}
	slices.Sort(names)
	return names
}

// Admit returns the identity that a request proves. Its error is an *llm.Error: with CodeInvalid for credentials that
// contradict each other, with CodeUnauthenticated, the same one, for every key that is not let in, with CodeForbidden
// for one that is, but not from where it comes or not with such claims, and with CodeRateLimited for an address from
// which too many wrong keys came.
func (g *Gate) Admit(r Request) (Identity, error) {
	p, err := readHeaders(r.Header)
	if err != nil {
		return Identity{}, err
	}
	id, err := g.identify(r, p)
	if err != nil {
		return Identity{}, err
	}
	if k := id.key; !k.Expires.IsZero() && !r.Now.Before(k.Expires) {
		return Identity{}, denied(expired, "the API key has expired")
	}
	if k := id.key; len(k.Scope.Networks) > 0 && !k.Scope.Network(g.address(r)) {
		return Identity{}, forbidden("this key may not be used from the network that the request comes from")
	}
	if g.UserHeader != "" && id.user == "" {
		return g.user(id, r)
	}
	return id, nil
}

// identify finds out who asks: by key, by token or, where there is neither, by certificate.
func (g *Gate) identify(r Request, p presented) (Identity, error) {
	switch {
	case g == nil:
		return Identity{}, p.fault()
	case g.anonymous != nil:
		return Identity{key: g.anonymous}, nil
	}
	if issuer, claims, err := g.token(r); err != nil {
		return Identity{}, err
	} else if issuer != nil {
		if p.kind == aKey {
			return Identity{}, llm.Invalid(authorization, "a token and a key were sent; send one of them")
		}
		return issuer.identity(claims)
	}
	if p.kind == nothing && len(g.Certificates) > 0 {
		if id, ok := g.certificate(r); ok {
			return id, nil
		}
	}
	return g.check(r, p)
}

// token returns whose verified token came with a request, nil: none did.
func (g *Gate) token(r Request) (*Issuer, map[string]any, error) {
	for i := range g.Issuers {
		s := &g.Issuers[i]
		if s.Header == "" {
			if r.Proof.Issuer == s.Name {
				return s, r.Proof.Claims, nil
			}
			continue
		}
		if values := r.Header(s.Header); len(values) > 0 {
			claims, err := fromHeader(values[len(values)-1])
			return s, claims, err
		}
	}
	return nil, nil, nil
}

// certificate returns whose certificate a client has.
func (g *Gate) certificate(r Request) (Identity, bool) {
	values := r.Header(forwardedCert)
	if len(values) == 0 {
		return Identity{}, false
	}
	p, ok := readPeer(values[len(values)-1])
	for i := range g.Certificates {
		if ok && g.Certificates[i].fits(&p) {
			return Identity{key: g.Certificates[i].Key}, true
		}
	}
	return Identity{}, false
}

// check finds the key that was presented.
func (g *Gate) check(r Request, p presented) (Identity, error) {
	if p.kind != aKey {
		return Identity{}, p.fault()
	}
	if wait := g.Failures.wait(func() netip.Addr { return g.address(r) }, r.Now); wait > 0 {
		return Identity{}, slowDown(wait)
	}
	var hash [sha256.Size]byte // the dummy that an unknown key is compared with
	known := g.byHash[p.sum]
	if known != nil {
		hash = known.Hash
	}
	if same := subtle.ConstantTimeCompare(hash[:], p.sum[:]) == 1; !same {
		known = nil
	}
	if known == nil {
		known = g.Issued.find(p.sum, r.Now)
	}
	if known == nil {
		if p.token && r.Proof.Fault != "" { // a token's signature cannot be guessed
			return Identity{}, denied(token, "the token is not valid: "+r.Proof.Fault)
		}
		g.Failures.Failed(g.address(r), p.sum, r.Now)
		return Identity{}, denied(unknown, "the API key is not valid")
	}
	return Identity{key: known}, nil
}

// fault says what is wrong where no key was presented.
func (p presented) fault() error {
	switch p.kind {
	case nothing:
		return denied(missing, "no API key; send it as authorization: Bearer KEY or in one of "+strings.Join(keyHeaders, ", "))
	case otherScheme:
		return denied(missing, "the authorization header must be Bearer KEY")
	}
	return denied(unknown, "the API key is not valid")
}

// user reads the end user's name from its header.
func (g *Gate) user(id Identity, r Request) (Identity, error) {
	values := r.Header(g.UserHeader)
	switch {
	case len(values) == 0:
		return id, nil
	case len(values) > 1 || !usableUser(values[0]):
		return Identity{}, llm.Invalid(g.UserHeader, "the end user must be one text of at most "+strconv.Itoa(maxUser)+" bytes, without control characters")
	}
	return id.ForUser(strings.Clone(values[0])), nil
}

// NameUser returns the identity with the end user that a member of the body names. One that is known stays.
func NameUser(id Identity, field, user string) (Identity, error) {
	if id.user != "" || user == "" {
		return id, nil
	}
	if !usableUser(user) {
		return Identity{}, llm.Invalid(field, "the end user must be a text of at most "+strconv.Itoa(maxUser)+" bytes, without control characters")
	}
	return id.ForUser(user), nil
}

func (g *Gate) address(r Request) netip.Addr { return clientAddress(r.Header(forwardedFor), g.Hops) }

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

func denied(why reason, message string) error {
	return &llm.Error{Code: llm.CodeUnauthenticated, Op: op, Message: message, Cause: why}
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
