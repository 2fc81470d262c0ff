package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/rerate"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/store"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/routing"
)

// Issuer makes the digests of new keys.
type Issuer interface{ Digest(key string) auth.Digest }

// Rerate prices exchanges of the ledger anew, and writes corrections where it is to apply them.
type Rerate func(ctx context.Context, q book.Filter, apply bool) (rerate.Report, error)

// Explain says why an exchange went where it went: the first of its records is its own.
type Explain func(ctx context.Context, records []*ledger.Record) *v1.ExplainExchangeResponse

// Options of a Server.
type Options struct {
	Store    *store.Store
	Ledger   Ledger                  // nil: there is none
	Rerate   Rerate                  // nil: nothing is priced anew
	Explain  Explain                 // nil: nothing is explained
	Routes   func() []*routing.Route // of the configuration in use, for their experiments; nil: there are none
	Prompts  Prompts
	Evals    Evals
	Keys     Issuer
	Token    secret.Value      // of the administrator; empty: none lets in
	Gate     func() *auth.Gate // of clients' keys, which let their owners in by their roles
	Tokens   func() *Verifier  // of OIDC tokens; nil, or returns nil: none lets in
	Failures *auth.Limiter     // of wrong tokens and keys; nil: they are not limited
	Log      *slog.Logger
}

// Principal is who asks.
type Principal struct {
	Name  string
	From  string // the address; "": the local socket
	Root  bool   // may everything: the administrator, or the owner of the local socket
	Role  auth.Role
	Owner auth.Owner
}

// tenant is whom a principal acts for, and as what: tokens of an issuer that name no user have one name for all of them. It is ""
// for the administrator.
func (p *Principal) tenant() string {
	if p.Root {
		return ""
	}
	return strings.Join([]string{p.Owner.Organization, p.Owner.Team, p.Owner.Project, p.Role.String()}, "/")
}

type principalKey struct{}

func withPrincipal(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// principalOf returns who asks; nobody where nothing is known.
func principalOf(ctx context.Context) *Principal {
	if p, ok := ctx.Value(principalKey{}).(*Principal); ok {
		return p
	}
	return &Principal{}
}

// peer is what is known of a connection.
type peer struct {
	local bool // the local socket, of whose user it is known that it may
	user  string
	addr  netip.Addr
}

type peerKey struct{}

// authenticator finds out who asks.
type authenticator struct {
	token    [sha256.Size]byte
	has      bool
	gate     func() *auth.Gate
	tokens   func() *Verifier
	failures *auth.Limiter
}

func newAuthenticator(o *Options) *authenticator {
	tokens := o.Tokens
	if tokens == nil {
		tokens = func() *Verifier { return nil }
	}
	return &authenticator{token: sha256.Sum256([]byte(o.Token.Reveal())), has: !o.Token.Empty(), gate: o.Gate, tokens: tokens, failures: o.Failures}
}

// Local marks a connection of the local socket, whose user the system has told. It is for http.Server.ConnContext.
func Local(ctx context.Context, uid int) context.Context {
	return context.WithValue(ctx, peerKey{}, peer{local: true, user: strconv.Itoa(uid)})
}

// mark notes the address of a connection.
func (a *authenticator) mark(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := r.Context().Value(peerKey{}).(peer); !ok {
			var p peer
			if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
				p.addr, _ = netip.ParseAddr(host)
			}
			r = r.WithContext(context.WithValue(r.Context(), peerKey{}, p))
		}
		h.ServeHTTP(w, r)
	})
}

// nobody is the answer to who is not let in.
func nobody() error {
	return connect.NewError(connect.CodeUnauthenticated, errors.New("no valid credential; send the admin token, a key or an OIDC token as authorization: Bearer TOKEN, or use the local socket"))
}

// authenticate returns who asks.
func (a *authenticator) authenticate(ctx context.Context, req connect.AnyRequest) (*Principal, error) {
	from, _ := ctx.Value(peerKey{}).(peer)
	values := req.Header().Values("authorization")
	if len(values) == 0 {
		if from.local {
			return &Principal{Name: "local:" + from.user, Root: true}, nil
		}
		return nil, nobody()
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if token = strings.TrimSpace(token); len(values) > 1 || !strings.EqualFold(scheme, "bearer") || token == "" {
		return nil, nobody()
	}
	now := time.Now()
	if wait := a.failures.Wait(from.addr, now); wait > 0 {
		return nil, connect.NewError(connect.CodeResourceExhausted, errors.New("too many different wrong tokens from this address; try again later"))
	}
	address := ""
	if from.addr.IsValid() {
		address = from.addr.String()
	}
	sum := sha256.Sum256([]byte(token))
	if a.has && subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1 {
		return &Principal{Name: "admin-token", From: address, Root: true}, nil
	}
	proof, proven := a.tokens().verify(ctx, token)
	id, err := a.gate().Admit(auth.Request{Now: now, Proof: proof, Header: func(name string) []string {
		switch {
		case name == "authorization" && !proven: // what is proven is no key
			return []string{"Bearer " + token}
		case name == "x-forwarded-for":
			return []string{address}
		}
		return nil
	}})
	if err != nil || id.Anonymous() {
		if e, ok := errors.AsType[*llm.Error](err); ok && e.Code == llm.CodeForbidden {
			return nil, connect.NewError(connect.CodePermissionDenied, errors.New(e.Message))
		}
		a.failures.Failed(from.addr, sum, now)
		return nil, nobody()
	}
	name := id.KeyID()
	if u := id.EndUser(); u != "" {
		name += "/" + u
	}
	return &Principal{Name: name, From: address, Role: id.Role(), Owner: id.Owner()}, nil
}
