package sign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

const (
	largestAnswer = 1 << 20 // of a token endpoint
	largestFile   = 64 << 10
	largestSaying = 600 // bytes of an error's text that are shown
)

// Fetch sends a request for a token and reads the answer: access_token and expires_in (RFC 6749 §5.1), or
// expires_on as Azure's metadata services have it. A time that is relative counts from when the request was
// sent. Without either the token has no end. Errors hold the endpoint's error and error_description (§5.2)
// without what is in hide.
func Fetch(client *http.Client, req *http.Request, hide ...string) (token string, ends time.Time, err error) {
	sent := time.Now()
	res, err := client.Do(req) //nolint:gosec // where tokens come from is the operator's to say
	if err != nil {
		return "", time.Time{}, Hide(unreached(req, err), hide...)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, largestAnswer))
	if err != nil {
		return "", time.Time{}, Hide(unreached(req, err), hide...)
	}
	if res.StatusCode != http.StatusOK {
		return "", time.Time{}, Hide(refused(req, res.StatusCode, body), hide...)
	}
	if jsonx.Valid(body) != nil || jsonx.Kind(body) != '{' {
		return "", time.Time{}, fmt.Errorf("%s answers with something that is no JSON object", req.URL.Host)
	}
	token, _ = jsonx.String(jsonx.Get(body, "access_token"))
	if err := Sendable(token); err != nil {
		return "", time.Time{}, fmt.Errorf("%s answers without a usable access_token: %w", req.URL.Host, err)
	}
	ends, err = end(body, sent)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	return token, ends, nil
}

// end reads when a token ends.
func end(body []byte, sent time.Time) (time.Time, error) {
	if raw := jsonx.Get(body, "expires_in"); !jsonx.IsNull(raw) {
		n, err := seconds(raw)
		if err != nil {
			return time.Time{}, fmt.Errorf("expires_in: %w", err)
		}
		return sent.Add(time.Duration(n) * time.Second), nil
	}
	if raw := jsonx.Get(body, "expires_on"); !jsonx.IsNull(raw) {
		n, err := seconds(raw)
		if err != nil {
			return time.Time{}, fmt.Errorf("expires_on: %w", err)
		}
		return time.Unix(n, 0), nil
	}
	return time.Time{}, nil
}

// seconds reads a number, which some services write as a text.
func seconds(raw []byte) (int64, error) {
	text := string(raw)
	if s, ok := jsonx.String(raw); ok {
		text = s
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || f > 1e11 {
		return 0, errors.New("no number of seconds")
	}
	return int64(f), nil
}

// unreached describes a request without an answer. The query of its URL is left out.
func unreached(req *http.Request, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("asking %s: %w", req.URL.Host, err)
}

// refused describes an answer that is no token.
func refused(req *http.Request, status int, body []byte) error {
	return fmt.Errorf("%s answers %d%s", req.URL.Host, status, Says(body))
}

// Says returns what the body of a refusal says, after ": ": error and error_description (RFC 6749 §5.2) or
// what Azure's and Google's services have in their place. It returns "" for what is no JSON object.
func Says(body []byte) string {
	if jsonx.Valid(body) != nil || jsonx.Kind(body) != '{' {
		return ""
	}
	var text strings.Builder
	for _, path := range [][]string{{"error"}, {"error_description"}, {"message"}, {"error", "status"}, {"error", "message"}} {
		if s, ok := jsonx.String(jsonx.At(body, path...)); ok && s != "" {
			text.WriteString(": " + s)
		}
	}
	return text.String()
}

// tokens look like credentials, whatever they are.
var tokens = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)*|ya29\.[A-Za-z0-9_.-]+|-----BEGIN [^-]*-----[^-]*(-----END [^-]*-----)?`)

// Hide returns an error whose text has neither the given secrets nor what looks like a token, on one line of
// bounded length. It wraps a context's error and nothing else, so that nothing is shown by unwrapping.
func Hide(err error, secrets ...string) error {
	text := err.Error()
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
			text = strings.ReplaceAll(text, url.QueryEscape(s), "***")
		}
	}
	text = tokens.ReplaceAllString(text, "***")
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > largestSaying {
		text = strings.ToValidUTF8(text[:largestSaying], "") + "…"
	}
	for _, known := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, known) {
			return &plain{text, known}
		}
	}
	return errors.New(text)
}

// plain is a text in place of an error, with the one below it that callers may ask for.
type plain struct {
	text  string
	cause error
}

func (p *plain) Error() string { return p.text }
func (p *plain) Unwrap() error { return p.cause }

// Sendable checks that a token can stand in a header's value (RFC 9110 §5.5), without spaces. Its error does
// not repeat it.
func Sendable(token string) error {
	if token == "" {
		return errors.New("it is empty")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("it has characters that no token has")
	}
	return nil
}

// Reveal fetches the secret behind a reference, for use at once. The command of an exec: reference is not
// shown in errors, as it may hold a secret itself.
func Reveal(ctx context.Context, ref secret.Ref) (string, error) {
	v, err := ref.Document(ctx)
	if err == nil {
		return v.Reveal(), nil
	}
	if command, ok := strings.CutPrefix(string(ref), "exec:"); ok {
		return "", errors.New(strings.ReplaceAll(err.Error(), command, "the command"))
	}
	return "", err
}

// File reads a token that another program keeps in a file, without white space around it.
func File(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	switch {
	case err != nil:
		return "", err
	case len(b) > largestFile:
		return "", fmt.Errorf("%s: over %d bytes", path, largestFile)
	}
	token := strings.TrimSpace(string(b))
	if err := Sendable(token); err != nil {
		return "", fmt.Errorf("%s: no token: %w", path, err)
	}
	return token, nil
}

// Borrowed is how often a token is fetched again that something else obtains and keeps fresh. gcloud and its
// like give out tokens until less than 4 minutes before their end.
const Borrowed = 2 * time.Minute

// Fixed returns options for a token that something else obtains and that a reference gives.
func Fixed(name string, ref secret.Ref) Options[string] {
	return Options[string]{Name: name, Every: Borrowed, Fetch: func(ctx context.Context) (string, time.Time, error) {
		token, err := Reveal(ctx, ref)
		if err == nil {
			err = Sendable(token)
		}
		return token, time.Time{}, err
	}}
}

// Wrong reports a mistake in parameters. at is where they stand in a provider's configuration, name the field.
func Wrong(at, name, format string, args ...any) error {
	return &llm.Error{Code: llm.CodeInvalid, Op: "providers.sign", Param: at + "." + name, Message: fmt.Sprintf(format, args...)}
}
