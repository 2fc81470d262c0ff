// Package secret keeps credentials out of everything that is printed. A Value shows as *** wherever it is
// formatted, marshalled or logged; only Reveal gives the bytes, and only signers and resolvers call it.
// References (env:, file:, exec:) name where a secret is; the configuration never holds one itself.
//
// It does not encrypt, store or rotate anything.
package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"
)

const hidden = "***"

// Value is a secret in memory. The zero value is empty.
type Value struct{ b []byte }

// New makes a Value of a copy of b.
func New(b string) Value { return Value{[]byte(b)} }

// Reveal returns the secret. Callers put it on the wire and nowhere else.
func (v Value) Reveal() string { return string(v.b) }

// Empty reports whether there is no secret.
func (v Value) Empty() bool { return len(v.b) == 0 }

// Equal reports whether two secrets are the same.
func (v Value) Equal(w Value) bool { return bytes.Equal(v.b, w.b) }

// String, GoString, Format, MarshalText, MarshalJSON and LogValue all hide the secret.
func (v Value) String() string { return hidden }

// GoString hides the secret.
func (v Value) GoString() string { return hidden }

// Format hides the secret for every verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText hides the secret.
func (v Value) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON hides the secret.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// LogValue hides the secret.
func (v Value) LogValue() slog.Value { return slog.StringValue(hidden) }

// Ref says where a secret is: env:NAME, file:PATH or exec:COMMAND.
type Ref string

// ErrLiteral is returned for a reference that looks like the secret itself.
var ErrLiteral = errors.New("a key must be a reference (env:NAME, file:PATH or exec:COMMAND), not the key itself")

// Parse checks the form of a reference. Its errors never repeat the text, which may be a secret.
func Parse(s string) (Ref, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme != "env" && scheme != "file" && scheme != "exec" {
		return "", ErrLiteral
	}
	if strings.TrimSpace(rest) == "" {
		return "", fmt.Errorf("the reference %s: names nothing", scheme)
	}
	return Ref(s), nil
}

// File returns the path of a file reference, for watching.
func (r Ref) File() (string, bool) { return strings.CutPrefix(string(r), "file:") }

// execTimeout bounds an exec reference.
const execTimeout = 10 * time.Second

// maxSecret bounds what a file or a command may give.
const maxSecret = 64 << 10

// Resolve fetches the secret. White space around it is cut off; an empty one is an error. Errors name the
// reference and never the secret.
func (r Ref) Resolve(ctx context.Context) (Value, error) {
	b, err := r.fetch(ctx)
	if err != nil {
		return Value{}, err
	}
	for _, c := range b {
		if c < 0x20 || c == 0x7f {
			return Value{}, fmt.Errorf("%s: the secret holds a control character", r)
		}
	}
	return Value{b}, nil
}

// Document is Resolve for a secret of several lines: a key in PEM form, a credential file in JSON.
func (r Ref) Document(ctx context.Context) (Value, error) {
	b, err := r.fetch(ctx)
	if err != nil {
		return Value{}, err
	}
	for _, c := range b {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return Value{}, fmt.Errorf("%s: the secret holds a control character", r)
		}
	}
	return Value{b}, nil
}

// fetch gets the bytes behind a reference, without white space around them.
func (r Ref) fetch(ctx context.Context) ([]byte, error) {
	scheme, rest, _ := strings.Cut(string(r), ":")
	var b []byte
	switch scheme {
	case "env":
		v, ok := os.LookupEnv(rest)
		if !ok {
			return nil, fmt.Errorf("%s: the variable is not set", r)
		}
		b = []byte(v)
	case "file":
		var err error
		if b, err = os.ReadFile(rest); err != nil {
			return nil, fmt.Errorf("%s: %w", r, err)
		}
	case "exec":
		ctx, cancel := context.WithTimeout(ctx, execTimeout)
		defer cancel()
		var err error
		if b, err = exec.CommandContext(ctx, "/bin/sh", "-c", rest).Output(); err != nil {
			return nil, fmt.Errorf("%s: %w", r, err)
		}
	default:
		return nil, ErrLiteral
	}
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return nil, fmt.Errorf("%s: the secret is empty", r)
	}
	if len(b) > maxSecret {
		return nil, fmt.Errorf("%s: the secret is over %d bytes", r, maxSecret)
	}
	return b, nil
}
