// Package admin serves the admin API: organizations, teams, projects, keys and budgets, experiments, prompt templates and runs of
// evaluations, what was changed of them, and what was used.
//
//	request ─► who asks (token, key, OIDC, local socket) ─► may it? ─► store.Change, once per idempotency key ─► answer
//
// One handler speaks gRPC, gRPC-Web and plain JSON (Connect). It decides who may change what; what a change means is
// internal/store's.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	"github.com/signalbox-ai/signalbox/internal/admin/openapi"
	"github.com/signalbox-ai/signalbox/internal/store"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
	"github.com/signalbox-ai/signalbox/routing"
)

// maxRequest bounds a request, in bytes.
const maxRequest = 1 << 20

// Server serves the API. It is safe for concurrent use.
type Server struct {
	store   *store.Store
	ledger  Ledger
	rerate  Rerate
	why     Explain
	tried   func() []*routing.Route
	who     *authenticator
	keys    Issuer
	prompts Prompts
	evals   Evals
	log     *slog.Logger
}

// New makes a server.
func New(o Options) *Server {
	return &Server{store: o.Store, ledger: o.Ledger, rerate: o.Rerate, why: o.Explain, tried: o.Routes, who: newAuthenticator(&o), keys: o.Keys, prompts: o.Prompts, evals: o.Evals, log: o.Log}
}

// Handler returns what serves the API, at the paths of its methods, and its OpenAPI document at /openapi.json.
func (s *Server) Handler() http.Handler {
	m := http.NewServeMux()
	opts := []connect.HandlerOption{
		connect.WithInterceptors(connect.UnaryInterceptorFunc(s.intercept)), connect.WithReadMaxBytes(maxRequest),
		connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}),
	}
	for _, mount := range []func() (string, http.Handler){
		func() (string, http.Handler) {
			return adminv1connect.NewOrganizationServiceHandler(organizations{s}, opts...)
		},
		func() (string, http.Handler) { return adminv1connect.NewTeamServiceHandler(teams{s}, opts...) },
		func() (string, http.Handler) { return adminv1connect.NewProjectServiceHandler(projects{s}, opts...) },
		func() (string, http.Handler) { return adminv1connect.NewKeyServiceHandler(keys{s}, opts...) },
		func() (string, http.Handler) { return adminv1connect.NewBudgetServiceHandler(budgets{s}, opts...) },
		func() (string, http.Handler) { return adminv1connect.NewAuditServiceHandler(changes{s}, opts...) },
		func() (string, http.Handler) { return adminv1connect.NewUsageServiceHandler(reports{s}, opts...) },
		func() (string, http.Handler) { return adminv1connect.NewExperimentServiceHandler(trials{s}, opts...) },
		func() (string, http.Handler) { return adminv1connect.NewTemplateServiceHandler(prompts{s}, opts...) },
		func() (string, http.Handler) { return adminv1connect.NewEvalServiceHandler(runs{s}, opts...) },
	} {
		m.Handle(mount())
	}
	m.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "application/json")
		_, _ = w.Write(openapi.Document(maxOnce))
	})
	return s.who.mark(m)
}

// intercept finds out who asks before a method runs, and turns what went wrong into what may be shown.
func (s *Server) intercept(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		p, err := s.who.authenticate(ctx, req)
		if err != nil {
			return nil, err
		}
		if m, ok := req.Any().(proto.Message); ok {
			if err := texts(m.ProtoReflect(), ""); err != nil {
				return nil, s.shown(err)
			}
		}
		res, err := next(withPrincipal(ctx, p), req)
		if err == nil {
			return res, nil
		}
		shown := s.shown(err)
		if shown.Code() == connect.CodeInternal {
			s.log.Error("admin request failed", "method", req.Spec().Procedure, "actor", p.Name, "error", err)
		}
		return nil, shown
	}
}

// shown turns an error into one that may be shown. A wrong field is told as google.rpc.BadRequest.
func (s *Server) shown(err error) *connect.Error {
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return e
	}
	f, ok := errors.AsType[*store.Fault](err)
	switch {
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	case !ok:
		return connect.NewError(connect.CodeInternal, errors.New("internal error"))
	}
	code := map[store.Reason]connect.Code{
		store.Missing: connect.CodeNotFound, store.Exists: connect.CodeAlreadyExists, store.Stale: connect.CodeAborted,
		store.InUse: connect.CodeFailedPrecondition, store.Invalid: connect.CodeInvalidArgument, store.Replayed: connect.CodeInvalidArgument,
	}[f.Reason]
	e := connect.NewError(code, f)
	if f.Field != "" {
		if d, err := connect.NewErrorDetail(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: f.Field, Description: f.Message}}}); err == nil {
			e.AddDetail(d)
		}
	}
	return e
}

// invalid is the error for a wrong field.
func invalid(field, message string) error {
	return &store.Fault{Reason: store.Invalid, Field: field, Message: field + ": " + message}
}

// headerOnce names the header of idempotency keys (draft-ietf-httpapi-idempotency-key-header).
const headerOnce = "Idempotency-Key"

// maxOnce bounds an idempotency key, in bytes.
const maxOnce = 255

// message is a generated message of type T.
type message[T any] interface {
	proto.Message
	*T
}

// write makes a change, at most once for the request's idempotency key. strip takes out of the answer what is shown
// once; nil: nothing is.
func write[Req proto.Message, T any, Res message[T]](ctx context.Context, s *Server, req Req, strip func(Res), f func(*store.Tx) (Res, error)) (Res, error) {
	p := principalOf(ctx)
	info, _ := connect.CallInfoForHandlerContext(ctx)
	id := info.RequestHeader().Get(headerOnce)
	if len(id) > maxOnce || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, invalid("idempotency-key", "at most 255 bytes, of printable ASCII characters")
	}
	asked, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return nil, err
	}
	var res Res
	err = s.store.Change(ctx, store.Actor{Name: p.Name, From: p.From, Tenant: p.tenant()}, func(tx *store.Tx) error {
		answer, again, err := tx.Once(id, append([]byte(info.Spec().Procedure+"\n"), asked...), func() ([]byte, error) {
			if res, err = f(tx); err != nil {
				return nil, err
			}
			kept := proto.CloneOf(res)
			if strip != nil {
				strip(kept)
			}
			return proto.Marshal(kept)
		})
		if err != nil || !again {
			return err
		}
		res = new(T)
		return proto.Unmarshal(answer, res)
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}
