package app

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// rig is an App with its configuration file in a folder of its own.
type rig struct {
	*App
	t    *testing.T
	dir  string
	file string
	log  *buffer
}

// newRig makes an App that is not run. DIR in the configuration stands for the folder.
func newRig(t *testing.T, yaml string) *rig {
	t.Helper()
	return newRigWith(t, yaml, nil)
}

// newRigWith also writes files into the folder.
func newRigWith(t *testing.T, yaml string, files map[string]string) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb") // short: a socket's path holds about a hundred bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &rig{t: t, dir: dir, file: filepath.Join(dir, "signalbox.yaml"), log: &buffer{}}
	r.write("key", "swordfish-1")
	for name, text := range files {
		r.write(name, text)
	}
	r.write("signalbox.yaml", yaml)
	if r.App, err = New(t.Context(), Options{Path: r.file, Errors: r.log, Version: "test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(strings.ReplaceAll(text, "DIR", r.dir)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// page returns status and text of a page of the admin address.
func (r *rig) page(path string) (int, string) {
	w := httptest.NewRecorder()
	r.admin().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func (r *rig) counts(line string) {
	r.t.Helper()
	if _, text := r.page("/metrics"); !strings.Contains(text, line+"\n") {
		r.t.Errorf("the metrics lack %s", line)
	}
}

// secret returns the only key of a provider as exchanges see it.
func (r *rig) secret(provider, id string) string {
	r.t.Helper()
	k, ok := r.Core().Snapshot().Providers[provider].Keys.Find(strings.ReplaceAll(id, "DIR", r.dir))
	if !ok {
		r.t.Fatalf("%s has no key %s", provider, id)
	}
	return k.Secret.Reveal()
}

const (
	// Nobody listens on the clients' address: that is for Envoy, and none runs here.
	sockets = "listen: { http: 127.0.0.1:8099, admin: 127.0.0.1:0, service: unix:DIR/s.sock }\nenvoy: { admin: unix:DIR/a.sock }\n"
	good    = sockets + "providers: [ { name: p, kind: openai, key: \"file:DIR/key\" } ]\n"
)

func TestABadFileLeavesWhatRuns(t *testing.T) {
	for name, bad := range map[string]struct{ yaml, want string }{
		"an unknown kind":    {sockets + "providers: [ { name: p, kind: nonsense } ]\n", "signalbox.yaml:3:31: kind: unknown value"},
		"no YAML":            {"providers: [\n", "signalbox.yaml:"},
		"a secret that went": {sockets + "providers: [ { name: p, kind: openai, key: \"file:DIR/gone\" } ]\n", "signalbox.yaml:3:44: key: the file cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, good)
			before, cfg := r.Core().Snapshot(), r.Config()
			r.write("signalbox.yaml", bad.yaml)
			err := r.Reload(t.Context())
			if err == nil || !strings.Contains(err.Error(), bad.want) {
				t.Errorf("got %v", err)
			}
			if r.Core().Snapshot() != before || r.Config() != cfg {
				t.Error("something changed")
			}
			r.counts(`signalbox_reload_total{result="refused"} 1`)
			if !strings.Contains(r.log.String(), "configuration refused, the old one stays") {
				t.Errorf("the log says %s", r.log)
			}
			r.write("signalbox.yaml", good)
			if err := r.Reload(t.Context()); err != nil {
				t.Error(err)
			}
			r.counts(`signalbox_reload_total{result="ok"} 1`)
		})
	}
}

func TestTheStartWarnsOfALimitThatForgets(t *testing.T) {
	const budget = "teams: [ { name: core, budget: { month: 5 USD } } ]\n"
	r := newRig(t, good+"quota: { journal: none }\n"+budget)
	if log := r.log.String(); !strings.Contains(log, "teams[0].budget.month") || !strings.Contains(log, "the limit begins anew with every restart") || !strings.Contains(log, "signalbox.yaml:5:") {
		t.Errorf("the log does not warn:\n%s", log)
	}
	r = newRig(t, good+"quota: { journal: \"DIR/journal\" }\nledger: { store: \"sqlite:DIR/ledger.db\", spool: none }\n"+budget)
	if log := r.log.String(); strings.Contains(log, "begins anew") {
		t.Errorf("it warns although there is a ledger:\n%s", log)
	}
}

func TestSettingsOfTheProcessNeedARestart(t *testing.T) {
	for what, yaml := range map[string]string{
		"listen.service": strings.Replace(good, "s.sock", "t.sock", 1),
		"listen.admin":   strings.Replace(good, "admin: 127.0.0.1:0", "admin: 127.0.0.1:1", 1),
		"envoy":          strings.Replace(good, "a.sock", "b.sock", 1),
		"log":            good + "log: { level: debug }\n",
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, good)
			before := r.Core().Snapshot()
			r.write("signalbox.yaml", yaml)
			err := r.Reload(t.Context())
			if err == nil || err.Error() != what+" can only change with a restart" {
				t.Errorf("got %v", err)
			}
			if r.Core().Snapshot() != before {
				t.Error("something changed")
			}
		})
	}
}

func TestAReloadPutsRoutesLimitsAndSecretsInPlace(t *testing.T) {
	r := newRig(t, good)
	const id = "file:DIR/key"
	if got := r.secret("p", id); got != "swordfish-1" {
		t.Fatalf("got %s", got)
	}
	old := r.Core().Snapshot()
	r.write("key", "swordfish-2\n")
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.secret("p", id); got != "swordfish-2" {
		t.Errorf("the secret is still %s", got)
	}
	if r.Core().Snapshot().Version == old.Version {
		t.Error("two snapshots share a version")
	}
	r.write("signalbox.yaml", good+"limits: { body: 1GiB }\nroutes: [ { name: r, match: { models: [ r ] }, targets: [ p/m ] } ]\n")
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := r.Core().Snapshot(); s.MaxBody != 1<<30 || s.Table.Route("r") == nil || s.Table.Match("gpt-5") != nil {
		t.Errorf("the old routes or limits stay: %d", s.MaxBody)
	}
	if strings.Contains(r.log.String(), "swordfish") {
		t.Error("a secret was logged")
	}
}

func TestReadiness(t *testing.T) {
	r := newRig(t, good)
	says := func(status int, text string) {
		t.Helper()
		if got, body := r.page("/readyz"); got != status || body != text+"\n" {
			t.Errorf("got %d %q, want %d %q", got, body, status, text)
		}
	}
	called := 0
	r.WhenReady(func() { called++ })
	says(503, "the counters of limits are not known yet")
	r.ready.set(func(r *readiness) { r.limits = true })
	says(503, "no Envoy has taken its configuration yet")
	r.ready.set(func(r *readiness) { r.envoy = true })
	says(503, "Envoy is starting")
	var dead error
	r.ready.set(func(r *readiness) { r.child = func(context.Context) error { return dead } })
	says(200, "ready")
	dead = errors.New("connection refused")
	says(503, "Envoy does not answer")
	dead = nil
	says(200, "ready")
	r.ready.set(func(r *readiness) { r.draining = true })
	says(503, "draining")
	r.ready.set(func(r *readiness) { r.draining = false })
	if called != 1 {
		t.Errorf("who waits was called %d times", called)
	}
	r.WhenReady(func() { called++ })
	if called != 2 {
		t.Error("who comes late is not called")
	}
	if status, body := r.page("/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("/healthz says %d %q", status, body)
	}
}

func TestTheEmbeddedMockLivesWhileItIsNeeded(t *testing.T) {
	r := newRig(t, good)
	if r.mock != nil {
		t.Fatal("it is served though nobody needs it")
	}
	withMock := strings.Replace(good, "providers: [", "providers: [ { name: mock, kind: mock },", 1)
	r.write("signalbox.yaml", withMock)
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	base := r.Core().Snapshot().Providers["mock"].Base
	if !net.ParseIP(base.Hostname()).IsLoopback() {
		t.Errorf("it is served at %s", base)
	}
	serves := func() error {
		res, err := http.Get(base.String() + "/v1/models")
		if err == nil {
			_ = res.Body.Close()
		}
		return err
	}
	if err := serves(); err != nil {
		t.Error(err)
	}
	for _, yaml := range []string{good, withMock} { // running exchanges may still need it
		r.write("signalbox.yaml", yaml)
		if err := r.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := serves(); err != nil {
			t.Errorf("it went with a reload: %v", err)
		}
	}
	if now := r.Core().Snapshot().Providers["mock"].Base; *now != *base {
		t.Errorf("it moved from %s to %s", base, now)
	}
	r.closeMock()
	if serves() == nil {
		t.Error("it is served after the end")
	}
}

func TestTheDefaultConfigurationComesFromTheEnvironment(t *testing.T) {
	for _, tt := range []struct{ openai, anthropic, want string }{
		{"", "", "mock"},
		{"swordfish", "", "mock openai"},
		{"", "swordfish", "anthropic mock"},
		{"swordfish", "swordfish", "anthropic mock openai"},
	} {
		t.Setenv("OPENAI_API_KEY", tt.openai)
		t.Setenv("ANTHROPIC_API_KEY", tt.anthropic)
		t.Chdir(t.TempDir()) // the default has a ledger
		a, err := New(t.Context(), Options{Errors: &buffer{}})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range a.Config().Providers {
			names = append(names, p.Name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("with openai %q and anthropic %q: got %s, want %s", tt.openai, tt.anthropic, got, tt.want)
		}
		if got := a.Core().Snapshot().Table.Models(); !strings.Contains(strings.Join(got, " "), "mock/echo") {
			t.Errorf("the models are %q", got)
		}
		if tt.openai != "" {
			if m := a.Core().Snapshot().Table.Match("gpt-5"); m == nil {
				t.Error("gpt-5 has no route")
			}
		}
		a.closeMock()
	}
}

func TestRunEndsWellAndLeavesNothing(t *testing.T) {
	r := newRig(t, strings.Replace(good, "providers: [", "providers: [ { name: mock, kind: mock },", 1))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, false) }()
	eventually(t, "the socket is served", func() error {
		c, err := net.Dial("unix", filepath.Join(r.dir, "s.sock"))
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	info, err := os.Stat(filepath.Join(r.dir, "s.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket may be opened by others: %v, %v", info.Mode(), err)
	}
	writes := 0
	eventually(t, "a change of the key's file is seen", func() error {
		r.write("key", "swordfish-2"+strings.Repeat("\n", writes)) // again, should the first come before the watch
		writes++
		time.Sleep(300 * time.Millisecond) // a change counts once the file is left alone
		if r.secret("p", "file:DIR/key") != "swordfish-2" {
			return fmt.Errorf("the old key is in place")
		}
		return nil
	})
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "s.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	if _, err := net.Dial("tcp", r.build.mock.Host); err == nil {
		t.Error("the mock is left behind")
	}
}

// An issuer whose certificate is of an authority of its own is trusted for that on the admin address too, as the
// configuration in use says.
func TestTokensOfIssuersOnTheAdminAddress(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jsonx.Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "k", Algorithm: "ES256"}}})
	if err != nil {
		t.Fatal(err)
	}
	issuer := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }))
	defer issuer.Close()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(fmt.Appendf(nil, `{"iss":"https://corp.example","aud":"signalbox","exp":%d}`, time.Now().Add(time.Hour).Unix()))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	const text = sockets + "store: sqlite:DIR/store.db\nquota: { journal: DIR/quota }\nproviders: [ { name: mock, kind: mock } ]\nteams: [ { name: core } ]\n" +
		"auth: { jwt: [ { name: corp, issuer: https://corp.example, audiences: [signalbox], jwks: JWKS, ca: DIR/ca.pem, team: core } ] }\n"
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw}))
	corp := strings.Replace(text, "JWKS", issuer.URL, 1)
	other := strings.NewReplacer("name: corp", "name: other", "https://corp.example", "https://other.example").Replace(corp)
	r := newRigWith(t, other, map[string]string{"ca.pem": ca})
	ask := func() (int, string) {
		req := httptest.NewRequest(http.MethodPost, "/signalbox.admin.v1.TeamService/GetTeam", strings.NewReader(`{"id":"core"}`))
		req.Header.Set("content-type", "application/json")
		req.Header.Set("authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		r.admin().ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	for _, c := range []struct {
		config string
		want   int
	}{{other, 401}, {corp, 200}, {other, 401}} {
		r.write("signalbox.yaml", c.config)
		if err := r.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status, body := ask(); status != c.want {
			t.Errorf("got %d %s, want %d", status, body, c.want)
		}
	}
}

// Who sees the admin address served uses the others at once. Where none can be opened, the first that is tried is named.
func TestTheAdminAddressIsOpenedLast(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const stored = "store: sqlite:DIR/store.db\nquota: { journal: DIR/quota }\nproviders: [ { name: mock, kind: mock } ]\n"
	at := func(service, control string) string {
		return "listen: { http: 127.0.0.1:8099, admin: \"" + taken.Addr().String() + "\", service: \"unix:DIR/" + service + "\", control: \"unix:DIR/" + control + "\" }\n" + stored
	}
	for want, text := range map[string]string{
		"key/s.sock":          at("key/s.sock", "key/c.sock"), // key is a file
		"key/c.sock":          at("s.sock", "key/c.sock"),
		taken.Addr().String(): at("s.sock", "c.sock"),
	} {
		r := newRig(t, text)
		if err := r.Run(t.Context(), false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want what is said of %s", err, want)
		}
		for _, left := range []string{"s.sock", "c.sock"} {
			if _, err := os.Stat(filepath.Join(r.dir, left)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left behind: %v", left, err)
			}
		}
	}
}

func TestWhatCannotBeBuiltIsSaidWithItsPlace(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "signalbox.yaml")
	if err := os.WriteFile(file, []byte("providers:\n  - { name: mock, kind: mock }\n  - { name: p, kind: openai, key: env:SIGNALBOX_TEST_UNSET }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(t.Context(), Options{Path: file, Errors: &buffer{}})
	var faults config.Errors
	if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Line != 3 || !strings.Contains(faults[0].Message, "env:SIGNALBOX_TEST_UNSET") {
		t.Errorf("got %v", err)
	}
	if _, _, again := Check(t.Context(), file, io.Discard); again == nil || again.Error() != err.Error() {
		t.Errorf("Check says %v", again)
	}
}

func TestTheIDOfAKeyHidesCommands(t *testing.T) {
	for ref, want := range map[string]string{"env:A": "env:A", "file:/a/b": "file:/a/b"} {
		if got := keyID(secret.Ref(ref)); got != want {
			t.Errorf("%s: got %s", ref, got)
		}
	}
	a, b := keyID(secret.Ref("exec:pass swordfish")), keyID(secret.Ref("exec:pass other"))
	if strings.Contains(a, "swordfish") || a == b || a != keyID(secret.Ref("exec:pass swordfish")) {
		t.Errorf("got %s and %s", a, b)
	}
}

func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("never: %s: %v", what, err)
}
