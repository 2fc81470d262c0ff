package channel

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/secret"
)

func message() *Message {
	return &Message{
		ID: "a1b2", Kind: "threshold", Severity: "warning", At: time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC),
		Title: "team core has used 80% of its budget", Text: "400 of 500 USD in the month from 2026-08-01.",
		Facts: []Fact{{"organization", "acme"}, {"team", "co\"re"}},
	}
}

// quick is a sender that does not wait, and notes how long it would have.
func quick(waited *[]time.Duration) *Sender {
	return &Sender{Pause: func(_ context.Context, d time.Duration) error { *waited = append(*waited, d); return nil }}
}

// put keeps a secret in a file and returns its reference.
func put(t *testing.T, s string) secret.Ref {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
	return secret.Ref("file:" + path)
}

func TestAWebhookIsSignedAndComesOnce(t *testing.T) {
	var ids []string
	var calls int
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		at := r.Header.Get("Webhook-Timestamp")
		if n, err := strconv.ParseInt(at, 10, 64); err != nil || time.Since(time.Unix(n, 0)).Abs() > time.Minute {
			t.Errorf("timestamp %q", at)
		}
		// by hand: HMAC-SHA256 of id.timestamp.body, and the key of whsec_c2VjcmV0 is secret
		if got, want := r.Header.Get("Webhook-Signature"), sign([]byte("secret"), "a1b2", at, body); got != want {
			t.Errorf("signature %q, want %q", got, want)
		}
		ids = append(ids, r.Header.Get("Webhook-Id"))
		if calls++; calls < 3 {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		want := `{"id":"a1b2","kind":"threshold","severity":"warning","at":"2026-08-20T12:00:00Z","title":"team core has used 80% of its budget","text":"400 of 500 USD in the month from 2026-08-01.","facts":{"organization":"acme","team":"co\"re"}}`
		if diff := cmp.Diff(want, string(body)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}))
	defer hook.Close()
	var waited []time.Duration
	err := quick(&waited).Deliver(t.Context(), &Settings{Webhook: Webhook{URL: hook.URL + "/x", Secret: put(t, "whsec_c2VjcmV0")}}, message())
	if err != nil || !slices.Equal(ids, []string{"a1b2", "a1b2", "a1b2"}) {
		t.Errorf("ids %v, %v", ids, err)
	}
	if len(waited) != 2 || waited[0] != 7*time.Second || waited[1] < 7*time.Second || waited[1] > 8*time.Second {
		t.Errorf("waited %v", waited)
	}
}

func TestTheSignatureIsThatOfStandardWebhooks(t *testing.T) {
	// The example of the specification's test vectors.
	key, err := signingKey(secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWhatIsTriedAgain(t *testing.T) {
	for status, tries := range map[int]int{200: 1, 204: 1, 302: 1, 400: 1, 401: 1, 404: 1, 408: 5, 410: 1, 429: 5, 500: 5, 503: 5} {
		var n, followed atomic.Int32
		hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				followed.Add(1)
				return
			}
			n.Add(1)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "hunter2")
		}))
		var waited []time.Duration
		err := quick(&waited).Deliver(t.Context(), &Settings{Slack: Slack{URL: put(t, hook.URL+"/hunter2")}}, message())
		if int(n.Load()) != tries || followed.Load() > 0 || (err == nil) != (status/100 == 2) || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d: tried %d times, followed %d, %v", status, n.Load(), followed.Load(), err)
		}
		if !slices.IsSorted(waited) {
			t.Errorf("%d: waited %v", status, waited)
		}
		hook.Close()
	}
}

func TestErrorsShowNoAddress(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, url := range []string{gone.URL + "/hunter2", "http://hooks.example.com/hunter2", "ftp://127.0.0.1/hunter2", "hunter2", "http://127.0.0.1:1/x#hunter2"} {
		var waited []time.Duration
		err := quick(&waited).Deliver(t.Context(), &Settings{Slack: Slack{URL: put(t, url)}}, message())
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestAnEndingContextEndsTheTries(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		cancel()
	}))
	defer hook.Close()
	err := (&Sender{}).Deliver(ctx, &Settings{Webhook: Webhook{URL: hook.URL}}, message())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSlackShowsTextAsItIs(t *testing.T) {
	var got string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = string(b)
	}))
	defer hook.Close()
	m := message()
	m.Text = "<!channel> & *"
	if err := (&Sender{}).Deliver(t.Context(), &Settings{Slack: Slack{URL: put(t, hook.URL)}}, m); err != nil {
		t.Fatal(err)
	}
	want := `{"text":":warning: *team core has used 80% of its budget*\n&lt;!channel&gt; &amp; ∗"}`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestChecks(t *testing.T) {
	mail := func(change func(*Email)) Settings {
		e := Email{Server: "smtp.example.com:587", From: "a@example.com", To: []string{"b@example.com", "Ops <c@example.com>"}}
		change(&e)
		return Settings{Email: e}
	}
	for name, c := range map[string]struct {
		s    Settings
		want string
	}{
		"none":                {Settings{}, ": a channel has one"},
		"two":                 {Settings{Webhook: Webhook{URL: "https://x"}, Slack: Slack{URL: "env:X"}}, ": a channel has one"},
		"webhook":             {Settings{Webhook: Webhook{URL: "https://x/y"}}, ""},
		"no address":          {Settings{Webhook: Webhook{Secret: "env:X"}}, "webhook: a webhook has either"},
		"two addresses":       {Settings{Webhook: Webhook{URL: "https://x", SecretURL: "env:X"}}, "webhook: a webhook has either"},
		"unencrypted":         {Settings{Webhook: Webhook{URL: "http://example.com"}}, "webhook.url: url: http://"},
		"unencrypted allowed": {Settings{Webhook: Webhook{URL: "http://example.com", PlainHTTP: true}}, ""},
		"unencrypted near":    {Settings{Webhook: Webhook{URL: "http://127.0.0.1:80/x"}}, ""},
		"query":               {Settings{Webhook: Webhook{URL: "https://x/?token=1"}}, "webhook.url: url: has no user"},
		"mail":                {mail(func(*Email) {}), ""},
		"server":              {mail(func(e *Email) { e.Server = "smtp.example.com" }), "email.server: "},
		"to":                  {mail(func(e *Email) { e.To[1] = "b@" }), "email.to[1]: not"},
		"injected":            {mail(func(e *Email) { e.From = "a@example.com\r\nBcc: x@example.com" }), "email.from: not"},
		"password alone":      {mail(func(e *Email) { e.Password = "env:X" }), "email: user"},
		"password in clear":   {mail(func(e *Email) { e.TLS, e.User, e.Password = "none", "a", "env:X" }), "email.tls: tls: without"},
		"clear":               {mail(func(e *Email) { e.TLS = "none" }), "email.tls: tls: none"},
		"clear near":          {mail(func(e *Email) { e.TLS, e.Server = "none", "10.1.2.3:25" }), ""},
	} {
		var got []string
		c.s.Check(func(path, message string) { got = append(got, path+": "+message) })
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want)) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestProbeFindsWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		s    Settings
		path string
	}{
		{Settings{Slack: Slack{URL: "env:SIGNALBOX_NOT_SET"}}, "slack.url"},
		{Settings{Slack: Slack{URL: put(t, "http://hooks.example.com/x")}}, "slack.url"},
		{Settings{Webhook: Webhook{URL: "https://x", Secret: put(t, "whsec_!")}}, "webhook.secret"},
		{Settings{Email: Email{Password: "env:SIGNALBOX_NOT_SET"}}, "email.password"},
		{Settings{Webhook: Webhook{SecretURL: put(t, "https://hooks.example.com/x"), Secret: put(t, "plain")}}, ""},
	} {
		if path, err := c.s.Probe(t.Context()); path != c.path || (err != nil) != (c.path != "") {
			t.Errorf("%+v: %q, %v", c.s, path, err)
		}
	}
	s := Settings{Slack: Slack{URL: put(t, "https://x"), CA: "/ca.pem"}}
	if got := s.Files(); len(got) != 2 || got[0] != "/ca.pem" && got[1] != "/ca.pem" {
		t.Errorf("files %v", got)
	}
}

// TestWhenToTryAgainMayBeADate as well as seconds (RFC 9110, 10.2.3).
func TestWhenToTryAgainMayBeADate(t *testing.T) {
	first := true
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if first {
			first = false
			w.Header().Set("Retry-After", time.Now().Add(50*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer hook.Close()
	var waited []time.Duration
	if err := quick(&waited).Deliver(t.Context(), &Settings{Webhook: Webhook{URL: hook.URL}}, message()); err != nil {
		t.Fatal(err)
	}
	if len(waited) != 1 || waited[0] < 10*time.Second || waited[0] > time.Minute {
		t.Errorf("waited %v", waited)
	}
}
