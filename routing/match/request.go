// Package match is what routing knows of a request, and the conditions that routes have of requests. It decides nothing
// else, and does no I/O.
package match

import (
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Request is what decisions know of a request. Nothing of its conversation is in it.
type Request struct {
	At      time.Time // when it came
	Asked   string    // the model as the client named it
	Model   string    // aliases resolved
	Op      llm.Op
	Dialect string
	Stream  bool
	Bytes   int64 // of the body
	Output  int64 // tokens that the client allows for the answer; 0: it does not say
	Owner   Owner // whose it is
	Tags    map[string]string
	More    Inquiry // nil: nothing more is known
}

// Anonymous is the key of requests of nobody, where there are no keys.
const Anonymous = "anonymous"

// Owner is whose request it is.
type Owner struct{ Organization, Team, Project, Key, EndUser string }

// Inquiry answers what costs something to find out. It answers alike each time.
type Inquiry interface {
	// Header returns a request header, "" where it is missing. The name is in lower case.
	Header(name string) string
	// Needs returns the abilities that the request asks for, as far as its body shows without being decoded.
	Needs() ability.Set
	// Tokens returns the prompt's tokens as a target counts them; 0: nobody can count them. All texts may be "".
	Tokens(provider, model, like string) int64
	// Session returns what ties requests to each other, by one of the ways of policy.Sticky; "": nothing does.
	Session(by string) string
}

// bytesPerToken is what a token of a prompt has in the mean, where nobody counts (JSON around English text).
const bytesPerToken = 4

// TokensAt returns how many tokens the prompt has at a target, by its bytes where nobody can count it. All texts are ""
// where no target is known yet.
func (r *Request) TokensAt(provider, model, like string) int64 {
	if r.More != nil {
		if n := r.More.Tokens(provider, model, like); n > 0 {
			return n
		}
	}
	return r.Bytes / bytesPerToken
}
