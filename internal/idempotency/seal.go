package idempotency

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Call is a request that may be a repetition.
type Call struct {
	Tenant []string // whose it is: every part of it counts
	Key    string   // the client's idempotency key
	Digest [32]byte // of the request, as Digest computes it
}

// Digest is the digest of a request's parts, each of which counts by itself.
func Digest(parts ...[]byte) (sum [32]byte) {
	h := sha256.New()
	for _, p := range parts {
		part(h, p)
	}
	h.Sum(sum[:0])
	return sum
}

// part hashes a part with its length, so that no two lists of parts are the same bytes.
func part[T string | []byte](h hash.Hash, p T) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(p)))
	h.Write(n[:])
	h.Write([]byte(p))
}

// root is what everything is derived from.
type root [32]byte

func newRoot(v secret.Value) (r root) {
	m := hmac.New(sha256.New, []byte(v.Reveal()))
	m.Write([]byte("signalbox idempotent answers"))
	m.Sum(r[:0])
	return r
}

// place is where the answer to a key of a tenant is, and what it is sealed with. Whoever does not know the tenant, the
// key and the root can compute neither.
type place struct {
	address string
	seal    [32]byte
	print   [32]byte // what prints of requests are made with: a digest alone would let a guess of the request be tested
}

func (r *root) place(tenant []string, key string) (p place) {
	m := hmac.New(sha256.New, r[:])
	for _, t := range tenant {
		part(m, t)
	}
	part(m, key)
	own := m.Sum(nil)
	derive := func(what string) (out [32]byte) {
		h := hmac.New(sha256.New, own)
		h.Write([]byte(what))
		h.Sum(out[:0])
		return out
	}
	address := derive("address")
	p.address = base64.RawURLEncoding.EncodeToString(address[:24])
	p.seal, p.print = derive("seal"), derive("print")
	return p
}

// printBytes is the length of a print.
const printBytes = 16

func (p *place) printOf(digest [32]byte) string {
	h := hmac.New(sha256.New, p.print[:])
	h.Write(digest[:])
	return string(h.Sum(nil)[:printBytes])
}

func (p *place) aead() cipher.AEAD {
	block, err := aes.NewCipher(p.seal[:])
	if err != nil {
		panic(err) // of the key's length alone
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a
}

// sealVersion is the first byte of what is sealed; the nonce and the ciphertext follow.
const (
	sealVersion = 1
	sealNonce   = 12
)

// head is an answer but for its body.
type head struct {
	Status   int      `json:"s"`
	Header   []string `json:"h"` // names and values in turn
	Exchange string   `json:"x"`
	Record   string   `json:"r,omitzero"`
	At       int64    `json:"t"` // Unix seconds
}

// pack seals an answer for its place.
func (p *place) pack(a *Answer) ([]byte, error) {
	h := head{Status: a.Status, Exchange: a.Exchange, Record: a.Record, At: a.At.Unix()}
	for _, f := range a.Header {
		h.Header = append(h.Header, f.Name, f.Value)
	}
	b, err := jsonx.Encode(h)
	if err != nil {
		return nil, err
	}
	plain := binary.AppendUvarint(make([]byte, 0, len(b)+len(a.Body)+binary.MaxVarintLen32), uint64(len(b)))
	plain = append(append(plain, b...), a.Body...)
	g := p.aead()
	out := make([]byte, 1+sealNonce, 1+sealNonce+len(plain)+g.Overhead())
	out[0] = sealVersion
	nonce := out[1:]
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	return g.Seal(out, nonce, plain, []byte(p.address)), nil
}

var errSealed = errors.New("a stored answer cannot be read")

// unpack opens a sealed answer.
func (p *place) unpack(sealed []byte) (*Answer, error) {
	if len(sealed) < 1+sealNonce || sealed[0] != sealVersion {
		return nil, errSealed
	}
	plain, err := p.aead().Open(nil, sealed[1:1+sealNonce], sealed[1+sealNonce:], []byte(p.address))
	if err != nil {
		return nil, errSealed
	}
	n, at := binary.Uvarint(plain)
	if at <= 0 || n > uint64(len(plain)-at) {
		return nil, errSealed
	}
	end := at + int(n)
	var h head
	if err := jsonx.DecodeStrict(plain[at:end], &h); err != nil || len(h.Header)%2 != 0 {
		return nil, errSealed
	}
	a := &Answer{Status: h.Status, Exchange: h.Exchange, Record: h.Record, At: time.Unix(h.At, 0), Body: plain[end:]}
	for i := 0; i < len(h.Header); i += 2 {
		a.Header = append(a.Header, Field{h.Header[i], h.Header[i+1]})
	}
	return a, nil
}

// Lease is the right to run a request, as text: it may be carried to another process. It names the client's
// idempotency key, and nothing else of the client's.
type Lease string

// holderBytes is the length of a holder, before it is encoded.
const holderBytes = 16

func newLease(digest, key string) (Lease, Claim) {
	var id [holderBytes]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	holder := base64.RawURLEncoding.EncodeToString(id[:])
	return Lease(holder + "." + base64.RawURLEncoding.EncodeToString([]byte(digest)) + "." + key), Claim{holder, digest}
}

// read takes a lease apart.
func (l Lease) read() (key string, c Claim, ok bool) {
	holder, rest, _ := strings.Cut(string(l), ".")
	digest, key, ok := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(digest)
	return key, Claim{holder, string(raw)}, ok && err == nil && len(raw) == printBytes && holder != ""
}
