package auth

import (
	"errors"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// reason says for logs and counts why nobody is let in, where the client is told less.
type reason string

// Reasons of CodeUnauthenticated.
const (
	missing reason = "missing" // none was sent, or none that is a key
	unknown reason = "unknown" // nobody has this key, or not any more
	expired reason = "expired"
	token   reason = "token" // its signature or its time is not good
)

// Error implements error.
func (r reason) Error() string { return string(r) }

// Reason returns why Admit let nobody in: missing, unknown (or disabled, of which nothing is kept), expired, token,
// forbidden (from this network, or with these claims), limited, or invalid (credentials that contradict each other).
func (g *Gate) Reason(err error) string {
	var e *llm.Error
	var r reason
	switch {
	case errors.As(err, &r):
		return string(r)
	case !errors.As(err, &e):
		return string(unknown)
	case e.Code == llm.CodeRateLimited:
		return "limited"
	case e.Code == llm.CodeForbidden:
		return "forbidden"
	case e.Code == llm.CodeInvalid:
		return "invalid"
	}
	return string(unknown)
}
