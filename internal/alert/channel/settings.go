// Package channel sends alerts: to a webhook, to Slack, by e-mail.
//
//	Message ─ Deliver ─► Webhook (signed) | Slack | Email (SMTP)
//	              └─ tried again, later and later, where that may help
//
// It decides neither what is an alert nor who gets it; internal/alert does.
package channel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Settings are those of one channel, which is of one kind.
type Settings struct {
	Name    string  `yaml:"name" form:"name" required:"true" doc:"Its name, in rules and in signalbox alerts test."`
	Webhook Webhook `yaml:"webhook" doc:"A POST of JSON to an address of your own."`
	Slack   Slack   `yaml:"slack" doc:"An incoming webhook of Slack, or of what takes the same, as Mattermost."`
	Email   Email   `yaml:"email" doc:"Mail, by a server that takes it (SMTP)."`
}

// Webhook is an address that takes alerts as JSON.
type Webhook struct {
	URL       string     `yaml:"url" form:"url" doc:"The address, as https://hooks.example.com/signalbox."`
	SecretURL secret.Ref `yaml:"secret_url" doc:"The address by reference, in place of url, where it holds a token."`
	Secret    secret.Ref `yaml:"secret" doc:"The key that requests are signed with (HMAC-SHA256, by the rules of Standard Webhooks), by reference. One that begins with whsec_ is base64."`
	PlainHTTP bool       `yaml:"plain_http" doc:"Allows an address of http:// that is neither loopback nor a private address."`
	CA        string     `yaml:"ca" form:"file" doc:"File of the authorities (PEM) that its certificate is verified with, in place of the system's."`
}

// Slack is an incoming webhook of Slack.
type Slack struct {
	URL secret.Ref `yaml:"url" required:"true" doc:"The webhook's address, by reference: it is a secret."`
	CA  string     `yaml:"ca" form:"file" doc:"File of the authorities (PEM) that its certificate is verified with, in place of the system's."`
}

// Email is a server that takes mail, and who gets it.
type Email struct {
	Server   string     `yaml:"server" form:"path" required:"true" doc:"The server, as smtp.example.com:587."`
	TLS      string     `yaml:"tls" enum:"starttls,tls,none" zero:"tls on port 465, else starttls" doc:"starttls: the connection must become encrypted before anything is said. tls: it is so from its beginning. none: only to loopback and private addresses, and without a password."`
	From     string     `yaml:"from" form:"path" required:"true" doc:"The sender's address."`
	To       []string   `yaml:"to" form:"path" max:"64" required:"true" doc:"The addresses that get it."`
	User     string     `yaml:"user" form:"path" doc:"The user at the server, where it asks for one."`
	Password secret.Ref `yaml:"password" doc:"The user's password, by reference."`
	CA       string     `yaml:"ca" form:"file" doc:"File of the authorities (PEM) that its certificate is verified with, in place of the system's."`
}

// Given reports whether there is one.
func (w *Webhook) Given() bool { return *w != Webhook{} }
func (s *Slack) given() bool   { return *s != Slack{} }
func (e *Email) given() bool {
	return e.Server != "" || e.From != "" || len(e.To) > 0 || e.User != "" || e.Password != "" || e.CA != "" || e.TLS != ""
}

// mode returns how the connection to the server is encrypted.
func (e *Email) mode() string {
	if _, port, _ := net.SplitHostPort(e.Server); e.TLS == "" && port == "465" {
		return "tls"
	} else if e.TLS == "" {
		return "starttls"
	}
	return e.TLS
}

// Kind returns webhook, slack or email; "" where the channel is of none or of several.
func (s *Settings) Kind() string {
	switch [3]bool{s.Webhook.Given(), s.Slack.given(), s.Email.given()} {
	case [3]bool{true, false, false}:
		return "webhook"
	case [3]bool{false, true, false}:
		return "slack"
	case [3]bool{false, false, true}:
		return "email"
	}
	return ""
}

// Check tells what no single field shows, by the path of the field within the channel.
func (s *Settings) Check(fail func(path, message string)) {
	switch s.Kind() {
	case "webhook":
		s.Webhook.Check(fail)
	case "email":
		s.Email.check(fail)
	case "":
		fail("", "a channel has one of webhook, slack and email")
	}
}

// Check tells what no single field shows, by the path of the field within what has the webhook.
func (w *Webhook) Check(fail func(path, message string)) {
	if (w.URL == "") == (w.SecretURL == "") {
		fail("webhook", "a webhook has either url or secret_url")
	}
	if w.URL == "" {
		return
	}
	u, err := parseURL(w.URL)
	switch {
	case err != nil:
		fail("webhook.url", "url: "+err.Error())
	case u.User != nil || u.RawQuery != "":
		fail("webhook.url", "url: has no user and no query; an address with a token is given by reference, as secret_url")
	case u.Scheme == "http" && !w.PlainHTTP && !near(u.Hostname()):
		fail("webhook.url", "url: http:// sends everything unencrypted; use https://, or allow it with plain_http: true")
	}
}

func (e *Email) check(fail func(path, message string)) {
	host, port, err := net.SplitHostPort(e.Server)
	if n, bad := strconv.ParseUint(port, 10, 16); e.Server != "" && (err != nil || bad != nil || n == 0 || host == "" || strings.ContainsAny(host, " /@")) {
		fail("email.server", "server: write HOST:PORT, as smtp.example.com:587")
	}
	address := func(path, s string) {
		if a, err := mail.ParseAddress(s); s != "" && (err != nil || a.Address == "" || strings.ContainsAny(s, "\r\n")) {
			fail(path, "not an address of mail, as ops@example.com")
		}
	}
	address("email.from", e.From)
	for i, to := range e.To {
		address("email.to["+strconv.Itoa(i)+"]", to)
	}
	switch {
	case (e.User == "") != (e.Password == ""):
		fail("email", "user and password belong together")
	case e.mode() == "none" && e.User != "":
		fail("email.tls", "tls: without it no password is sent")
	case e.mode() == "none" && host != "" && !near(host):
		fail("email.tls", "tls: none sends mail unencrypted; it is for loopback and private addresses")
	}
}

// parseURL reads an http or https address. Its errors do not repeat it.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("must be an address such as https://hooks.example.com/signalbox")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("begins with https://")
	case u.Fragment != "":
		return nil, errors.New("has no fragment")
	}
	return u, nil
}

// near reports whether a host is this machine or a private address.
func near(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsPrivate())
}

// Refs returns the references to secrets, by the path of their field.
func (s *Settings) Refs() map[string]secret.Ref {
	all := map[string]secret.Ref{
		"webhook.secret_url": s.Webhook.SecretURL, "webhook.secret": s.Webhook.Secret, "slack.url": s.Slack.URL, "email.password": s.Email.Password,
	}
	for path, r := range all {
		if r == "" {
			delete(all, path)
		}
	}
	return all
}

// Files returns the files that are named.
func (s *Settings) Files() (out []string) {
	for _, f := range []string{s.Webhook.CA, s.Slack.CA, s.Email.CA} {
		if f != "" {
			out = append(out, f)
		}
	}
	for _, r := range s.Refs() {
		if f, ok := r.File(); ok {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return out
}

// Probe fetches the secrets, so that one that is missing shows before an alert is due. It returns the path of the field.
func (s *Settings) Probe(ctx context.Context) (path string, err error) {
	for path, r := range s.Refs() {
		v, err := r.Resolve(ctx)
		if err != nil {
			return path, fmt.Errorf("the secret cannot be fetched: %w", err)
		}
		if path == "webhook.secret" {
			_, err = signingKey(v)
		} else if path != "email.password" {
			_, err = secretURL(v, s.Webhook.PlainHTTP)
		}
		if err != nil {
			return path, err
		}
	}
	return "", nil
}

// secretURL reads an address that was a secret.
func secretURL(v secret.Value, plain bool) (*url.URL, error) {
	u, err := parseURL(v.Reveal())
	switch {
	case err != nil:
		return nil, fmt.Errorf("the secret is no address: it %w", err)
	case u.Scheme == "http" && !plain && !near(u.Hostname()):
		return nil, errors.New("the secret is an address of http://, which sends alerts unencrypted; use https://")
	}
	return u, nil
}
