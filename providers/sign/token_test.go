package sign_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// endpoint answers every request alike.
type endpoint struct {
	status int
	body   []byte
}

func (e endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: e.status, Body: io.NopCloser(bytes.NewReader(e.body)), Request: r, Header: http.Header{}}, nil
}

func fetch(ctx context.Context, status int, body []byte, hide ...string) (string, time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://login.example/token?code=swordfish", nil)
	if err != nil {
		return "", time.Time{}, err
	}
	return sign.Fetch(&http.Client{Transport: endpoint{status, body}}, req, hide...)
}

func TestEndsOfTokens(t *testing.T) {
	now := time.Now()
	for body, want := range map[string]time.Time{
		`{"access_token":"a","expires_in":3599}`:                           now.Add(3599 * time.Second),
		`{"access_token":"a","expires_in":"3599"}`:                         now.Add(3599 * time.Second),
		`{"access_token":"a","expires_in":3599.9}`:                         now.Add(3599 * time.Second),
		`{"access_token":"a","expires_in":null,"expires_on":"4102444800"}`: time.Unix(4102444800, 0),
		`{"access_token":"a","expires_on":4102444800}`:                     time.Unix(4102444800, 0),
		`{"access_token":"a"}`:                                             {},
	} {
		token, ends, err := fetch(t.Context(), 200, []byte(body))
		if d := ends.Sub(want).Abs(); err != nil || token != "a" || d > 5*time.Second || want.IsZero() != ends.IsZero() {
			t.Errorf("%s: got %s until %s, %v; want %s", body, token, ends, err, want)
		}
	}
}

func TestWhatARefusalSays(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":"invalid_client","error_description":"no"}`:                         ": invalid_client: no",
		`{"error":{"code":403,"message":"not allowed","status":"PERMISSION_DENIED"}}`: ": PERMISSION_DENIED: not allowed",
		`{"statusCode":400,"message":"no identity"}`:                                  ": no identity",
		`{"error":null,"message":7}`:                                                  "",
		`["error"]`:                                                                   "",
		`<html>`:                                                                      "",
		`{"error":"a","error":"b"}`:                                                   "",
	} {
		if got := sign.Says([]byte(body)); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

func TestHide(t *testing.T) {
	const key = "sword fish/1+2"
	for in, want := range map[string]string{
		"plain text":                                      "plain text",
		"a " + key + " and sword+fish%2F1%2B2 b":          "a *** and *** b",
		"token eyJhbGciOiJSUzI1NiJ9.eyJzdWIi.c2ln-_x end": "token *** end",
		"ya29.a0AfH6_-.x, then":                           "***, then",
		"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nrest": "*** rest",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIE cut off":                      "***",
		"two\r\n lines": "two lines",
	} {
		if got := sign.Hide(errors.New(in), key, "").Error(); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if n := len(sign.Hide(errors.New(strings.Repeat("é", 5000))).Error()); n > 700 {
		t.Errorf("%d bytes are shown", n)
	}
	inner := fmt.Errorf("%s: %w", key, context.DeadlineExceeded)
	err := sign.Hide(inner, key)
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(fmt.Sprintf("%+v %#v", err, errors.Unwrap(err)), "sword") {
		t.Errorf("got %#v", err)
	}
}

func TestASecretsCommandIsNotShown(t *testing.T) {
	_, err := sign.Reveal(t.Context(), secret.Ref("exec:exit 7 # swordfish"))
	if err == nil || strings.Contains(err.Error(), "swordfish") || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("got %v", err)
	}
	if got, err := sign.Reveal(t.Context(), "exec:printf 'a\\nb'"); err != nil || got != "a\nb" {
		t.Errorf("got %q, %v", got, err)
	}
}

// FuzzFetch feeds answers of token endpoints: a token that comes out can be sent, and an error shows nothing
// of the request's query or of what is hidden.
func FuzzFetch(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"a","expires_in":1}`))
	f.Add(400, []byte(`{"error":"x","error_description":"got a-secret-value"}`))
	f.Add(200, []byte(`{"access_token":"a-secret-value\n","expires_on":"1e400"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		token, _, err := fetch(t.Context(), status, body, "a-secret-value")
		switch {
		case err == nil && sign.Sendable(token) != nil:
			t.Errorf("the token %q cannot be sent", token)
		case err != nil && (token != "" || strings.Contains(err.Error(), "a-secret-value") || strings.Contains(err.Error(), "swordfish")):
			t.Errorf("got %q, %v", token, err)
		}
	})
}
