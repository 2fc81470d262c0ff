package channel

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/secret"
)

// webhook posts the message, signed as Standard Webhooks says (https://www.standardwebhooks.com): of id, time and body,
// so that a receiver can tell what is ours, what is old, and what it has already.
func (s *Settings) webhook(ctx context.Context, m *Message) *Failure {
	c, err := s.Webhook.Client()
	if err != nil {
		return final("the authorities: %w", err)
	}
	defer c.CloseIdleConnections()
	return s.Webhook.Post(ctx, c, Post{ID: m.ID, Type: "application/json", Body: m.JSON()})
}

// Post is what is posted to a webhook. The same ID is the same body.
type Post struct {
	ID, Type string
	Body     []byte
}

// Post posts once, signed where the webhook has a secret.
func (w *Webhook) Post(ctx context.Context, c *http.Client, p Post) *Failure {
	u, f := w.address(ctx)
	if f != nil {
		return f
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	head := http.Header{"Webhook-Id": {p.ID}, "Webhook-Timestamp": {at}, "Content-Type": {p.Type}}
	if w.Secret != "" {
		v, err := w.Secret.Resolve(ctx)
		if err != nil {
			return passing("the webhook's secret: %w", err)
		}
		key, err := signingKey(v)
		if err != nil {
			return final("the webhook's secret: %w", err)
		}
		head.Set("Webhook-Signature", sign(key, p.ID, at, p.Body))
	}
	return post(ctx, u, c, head, p.Body)
}

func (w *Webhook) address(ctx context.Context) (*url.URL, *Failure) {
	if w.URL != "" {
		u, err := parseURL(w.URL)
		if err != nil {
			return nil, final("the webhook's url %w", err)
		}
		return u, nil
	}
	return resolve(ctx, w.SecretURL, w.PlainHTTP)
}

func resolve(ctx context.Context, r secret.Ref, plain bool) (*url.URL, *Failure) {
	v, err := r.Resolve(ctx)
	if err != nil {
		return nil, passing("the channel's address: %w", err)
	}
	u, err := secretURL(v, plain)
	if err != nil {
		return nil, final("%w", err)
	}
	return u, nil
}

// sign returns the header of a signature.
func sign(key []byte, id, at string, body []byte) string {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, id+"."+at+".")
	_, _ = h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// signingKey reads the key of signatures: bytes as they are, or base64 behind whsec_.
func signingKey(v secret.Value) ([]byte, error) {
	text, encoded := strings.CutPrefix(v.Reveal(), "whsec_")
	if !encoded {
		return []byte(v.Reveal()), nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) == 0 {
		return nil, errors.New("behind whsec_ stands base64")
	}
	return key, nil
}

func (s *Settings) slack(ctx context.Context, m *Message) *Failure {
	u, f := resolve(ctx, s.Slack.URL, false)
	if f != nil {
		return f
	}
	c, err := client(s.Slack.CA)
	if err != nil {
		return final("the authorities: %w", err)
	}
	defer c.CloseIdleConnections()
	return post(ctx, u, c, http.Header{"Content-Type": {"application/json"}}, m.slack())
}

// Client returns what a webhook is posted with. Its connections stay until CloseIdleConnections. Redirects are not followed:
// they would carry what is posted to where nobody said it should go.
func (w *Webhook) Client() (*http.Client, error) { return client(w.CA) }

func client(ca string) (*http.Client, error) {
	conf, err := trust(ca, "")
	if err != nil {
		return nil, err
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

func post(ctx context.Context, u *url.URL, c *http.Client, head http.Header, body []byte) *Failure {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return final("the channel's address makes no request")
	}
	q.Header = head
	q.Header.Set("User-Agent", "signalbox")
	r, err := c.Do(q)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok { // it repeats the address
			err = e.Err
		}
		return passing("no answer: %w", err)
	}
	defer r.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<10)) // what it says may repeat a secret
	f := judge(r)
	if f != nil {
		f.Status = r.StatusCode
	}
	return f
}

func judge(r *http.Response) *Failure {
	switch {
	case r.StatusCode/100 == 2:
		return nil
	case r.StatusCode/100 == 3:
		return final("answered %d: redirects are not followed", r.StatusCode)
	case r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusRequestTimeout || r.StatusCode/100 == 5:
		f := passing("answered %d", r.StatusCode)
		f.After = after(r.Header.Get("Retry-After"), time.Now())
		return f
	}
	return final("answered %d", r.StatusCode)
}

// after reads Retry-After, which is seconds or a date (RFC 9110, 10.2.3): at most an hour, and 0 for what is neither or is over.
func after(s string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(s); err == nil {
		return time.Duration(min(max(n, 0), 3600)) * time.Second
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), time.Hour)
}
