// Package pass lets the gateway's own traffic in, on behalf of an identity that was let in before. A pass is good for a short time
// and says what the traffic is; only who has the secret can make one.
//
//	PASS = base64url(claims) "." base64url(HMAC-SHA256(secret, claims))
package pass

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Issuer makes passes and checks them. It is safe for concurrent use.
type Issuer struct{ secret [sha256.Size]byte }

// use tells this use of a secret from its others.
const use = "signalbox: traffic of its own"

// New makes an Issuer with what replicas share, so that each lets in the traffic of the others; where that is empty, with a secret
// of this process alone.
func New(shared secret.Value) *Issuer {
	p := new(Issuer)
	if shared.Empty() {
		_, _ = rand.Read(p.secret[:]) // never fails (crypto/rand)
		return p
	}
	h := hmac.New(sha256.New, []byte(shared.Reveal()))
	h.Write([]byte(use))
	h.Sum(p.secret[:0])
	return p
}

// claims are what a pass says. The key's hash is not in it: nothing is checked against that.
type claims struct {
	Owner   auth.Owner        `json:"owner"`
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Role    auth.Role         `json:"role"`
	Scope   auth.Scope        `json:"scope"`
	Tags    map[string]string `json:"tags,omitempty"`
	User    string            `json:"user,omitzero"`
	About   string            `json:"about"`
	Expires int64             `json:"expires"` // Unix seconds
}

// Issue makes a pass for an identity until a time. about says what the traffic is.
func (p *Issuer) Issue(who auth.Identity, about string, until time.Time) (string, error) {
	if !who.Authenticated() {
		return "", errors.New("pass: nobody gets no pass")
	}
	c := claims{Owner: who.Owner(), ID: who.KeyID(), Name: who.Name(), Role: who.Role(), Tags: who.Tags(), User: who.EndUser(), About: about, Expires: until.Unix()}
	if s := who.Scope(); s != nil {
		c.Scope = *s
	}
	b, err := jsonx.Encode(c)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b) + "." + base64.RawURLEncoding.EncodeToString(p.mac(b)), nil
}

func (p *Issuer) mac(b []byte) []byte {
	h := hmac.New(sha256.New, p.secret[:])
	h.Write(b)
	return h.Sum(nil)
}

// errPass is the error for every pass that is not good: it does not say why.
var errPass = errors.New("pass: the pass is not good")

// Check returns who a pass is for and what the traffic is. A nil Issuer lets nobody in.
func (p *Issuer) Check(pass string, now time.Time) (who auth.Identity, about string, err error) {
	if p == nil {
		return who, "", errPass
	}
	text, mac, _ := strings.Cut(pass, ".")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return who, "", errPass
	}
	sum, err := base64.RawURLEncoding.DecodeString(mac)
	if err != nil || !hmac.Equal(sum, p.mac(b)) {
		return who, "", errPass
	}
	var c claims
	if err := jsonx.DecodeStrict(b, &c); err != nil || now.Unix() >= c.Expires {
		return who, "", errPass
	}
	k := &auth.Key{ID: c.ID, Name: c.Name, Owner: c.Owner, Role: c.Role, Scope: c.Scope, Tags: c.Tags}
	who, ok := auth.NewGate([]*auth.Key{k}, auth.Options{}).Assume(cmp.Or(c.ID, c.Name))
	if !ok {
		return who, "", errPass
	}
	return who.ForUser(c.User), c.About, nil
}
