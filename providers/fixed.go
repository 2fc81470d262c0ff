package providers

import (
	"context"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Endpoint is a path below the base URL where a provider takes an operation in a dialect.
type Endpoint struct {
	Op    llm.Op
	Codec dialect.Client
	Path  string                  // "": the client's own
	Only  func(model string) bool // whether it serves a model; nil: it serves all
}

// serves reports whether the endpoint takes an operation for a model.
func (e *Endpoint) serves(op llm.Op, model string) bool {
	return e.Op == op && (e.Only == nil || e.Only(model))
}

// Fixed is an Adapter for providers whose paths depend on nothing but operation and dialect, and whose
// credential is a header. It is the whole of most kinds.
type Fixed struct {
	Base      string     // path prefix of the base URL, without a trailing slash
	Endpoints []Endpoint // the first of an operation is used when none is in the client's dialect
	Auth      func(out *Outbound)
	Models    func(model string) catalog.Facts
	Masks     bool // refused keys are a 400
}

var (
	_ Adapter = (*Fixed)(nil)
	_ Masker  = (*Fixed)(nil)
)

// Speaks implements Adapter.
func (f *Fixed) Speaks(op llm.Op, model string, client dialect.Name) (dialect.Client, bool) {
	var first dialect.Client
	for i := range f.Endpoints {
		e := &f.Endpoints[i]
		if !e.serves(op, model) {
			continue
		}
		if e.Codec.Name() == client {
			return e.Codec, true
		}
		if first == nil {
			first = e.Codec
		}
	}
	return first, first != nil
}

// Address implements Adapter.
func (f *Fixed) Address(c Call) (string, error) {
	for _, e := range f.Endpoints {
		if e.Op == c.Op && e.Codec.Name() == c.Dialect {
			if e.Path == "" { // objects at the provider
				return WithQuery(f.Base+c.Path, c.Query), nil
			}
			return WithQuery(f.Base+e.Path, c.Query), nil
		}
	}
	return "", NoEndpoint(c.Op)
}

// NoEndpoint is the error of an operation that a provider does not have.
func NoEndpoint(op llm.Op) *llm.Error {
	return &llm.Error{Code: llm.CodeUnsupported, Op: "providers.address", Message: "the provider has no endpoint for " + op.String()}
}

// Sign implements Adapter.
func (f *Fixed) Sign(_ context.Context, out *Outbound) error {
	if f.Auth != nil {
		f.Auth(out)
	}
	return nil
}

// Judge implements Adapter by status alone.
func (f *Fixed) Judge(status int) (llm.Code, bool) { return JudgeStatus(status) }

// MasksKeys implements Masker.
func (f *Fixed) MasksKeys() bool { return f.Masks }

// Facts implements Adapter.
func (f *Fixed) Facts(model string) catalog.Facts {
	if f.Models == nil {
		return catalog.Facts{}
	}
	return f.Models(model)
}

// JudgeStatus classes an HTTP status as most providers mean it (RFC 9110 §15, and 529 of Anthropic). ok is
// false for 400 and its like, where only the body tells a wrong request from one that is too long.
func JudgeStatus(status int) (llm.Code, bool) {
	switch {
	case status < 400:
		return llm.CodeNone, true
	case status == 401, status == 403:
		return llm.CodeCredential, true
	case status == 402:
		return llm.CodeOverQuota, true
	case status == 404:
		return llm.CodeNotFound, true
	case status == 408, status == 504:
		return llm.CodeTimeout, true
	case status == 413:
		return llm.CodeTooLarge, true
	case status == 409, status == 425:
		return llm.CodeUpstream, true
	case status == 429:
		return llm.CodeRateLimited, true
	case status == 503, status == 529:
		return llm.CodeOverloaded, true
	case status >= 500:
		return llm.CodeUpstream, true
	}
	return llm.CodeInvalid, false
}
