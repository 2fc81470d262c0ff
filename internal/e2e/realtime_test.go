package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// realtimeProvider stands in for OpenAI's sessions: it repeats what it is told, and says what each response used.
func realtimeProvider(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(&websocket.Server{
		Handshake: func(c *websocket.Config, r *http.Request) error {
			if got := r.Header.Get("authorization"); got != "Bearer sk-provider" {
				t.Errorf("authorization %q", got)
			}
			if got := r.URL.String(); got != "/v1/realtime?model=gpt-realtime" {
				t.Errorf("path %q", got)
			}
			for name, values := range r.Header {
				if v := strings.Join(values, " "); strings.Contains(v, "sk-client") || strings.HasPrefix(name, "X-Signalbox") || name == "Sec-Websocket-Extensions" {
					t.Errorf("the provider sees %s: %s", name, v)
				}
			}
			c.Protocol = []string{"realtime"}
			return nil
		},
		Handler: func(ws *websocket.Conn) {
			for {
				var m string
				if websocket.Message.Receive(ws, &m) != nil {
					return
				}
				_ = websocket.Message.Send(ws, m)
				_ = websocket.Message.Send(ws, `{"type":"response.done","response":{"usage":{"total_tokens":12,"input_tokens":5,"output_tokens":7,"output_token_details":{"audio_tokens":6}}}}`)
			}
		},
	})
	t.Cleanup(s.Close)
	return s
}

// TestRealtimeOverTLS proves that a session reaches a provider that prefers HTTP/2, over which most know no WebSocket.
func TestRealtimeOverTLS(t *testing.T) {
	up := realtimeProvider(t)
	up.EnableHTTP2 = true
	up.StartTLS()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: up.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PROVIDER_KEY", "sk-provider")
	gw := stack.Up(t, fmt.Sprintf("providers: [ { name: live, kind: openai, base_url: \"%s/v1\", key: env:PROVIDER_KEY, ca: %s } ]\n", up.URL, ca))
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(gw.Base, "http")+"/v1/realtime?model=live/gpt-realtime", "http://localhost")
	if err != nil {
		t.Fatal(err)
	}
	config.Protocol = []string{"realtime"}
	ws, err := config.DialContext(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, gw.Log())
	}
	defer func() { _ = ws.Close() }()
	var heard string
	if err := websocket.Message.Send(ws, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := websocket.Message.Receive(ws, &heard); err != nil || heard != "hello" {
		t.Fatalf("got %q, %v", heard, err)
	}
}

// TestRealtimePasses proves WebSockets on a real Envoy: the key, the model, failover before the upgrade, and the
// usage of what passes.
func TestRealtimePasses(t *testing.T) {
	up := realtimeProvider(t)
	up.Start()
	t.Setenv("PROVIDER_KEY", "sk-provider")
	key := "sk-client-0123456789abcdef"
	sum := sha256.Sum256([]byte(key))
	hash := "sha256:" + hex.EncodeToString(sum[:])
	gw := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: dead, kind: openai, base_url: "http://127.0.0.1:9/v1", key: env:PROVIDER_KEY }
  - { name: live, kind: openai, base_url: "%s/v1", key: env:PROVIDER_KEY }
routes:
  - { name: voice, match: { models: [voice] }, targets: [dead/gpt-realtime, live/gpt-realtime], deadlines: { total: 1s } }
keys: [ { name: browser, hash: "%s" } ]
`, up.URL, hash))
	url := "ws" + strings.TrimPrefix(gw.Base, "http") + "/v1/realtime?model="

	for _, c := range []struct {
		name, model, key string
		status           int
	}{{"a wrong key", "voice", "sk-client-wrong", 401}, {"an unknown model", "other", key, 404}, {"no upgrade", "voice", key, 426}} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, gw.Base+"/v1/realtime?model="+c.model, nil)
		req.Header.Set("authorization", "Bearer "+c.key)
		if c.status != 426 {
			req.Header.Set("connection", "upgrade")
			req.Header.Set("upgrade", "websocket")
			req.Header.Set("sec-websocket-version", "13")
			req.Header.Set("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", c.name, resp.StatusCode, c.status)
		}
	}

	config, err := websocket.NewConfig(url+"voice", "http://localhost")
	if err != nil {
		t.Fatal(err)
	}
	config.Protocol = []string{"realtime", "openai-insecure-api-key." + key}
	config.Header.Set("sec-websocket-extensions", "permessage-deflate")
	ws, err := config.DialContext(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, gw.Log())
	}
	for i := range 3 {
		if i == 2 {
			time.Sleep(1200 * time.Millisecond) // beyond the total deadline, which is not a session's
		}
		said := fmt.Sprintf(`{"type":"response.create","n":%d}`, i)
		if err := websocket.Message.Send(ws, said); err != nil {
			t.Fatal(err)
		}
		var heard, done string
		if err := websocket.Message.Receive(ws, &heard); err != nil || heard != said {
			t.Fatalf("got %q, %v", heard, err)
		}
		if err := websocket.Message.Receive(ws, &done); err != nil || !strings.Contains(done, "response.done") {
			t.Fatalf("got %q, %v", done, err)
		}
	}
	_ = ws.Close()
	stack.Eventually(t, 30*time.Second, "the session's usage is counted", func() error {
		m := get(t, gw.Admin+"/metrics").body
		for _, want := range []string{
			`signalbox_tokens_total{kind="input",provider="live",source="service"} 15`,
			`signalbox_tokens_total{kind="output",provider="live",source="service"} 21`,
		} {
			if !strings.Contains(m, want) {
				return fmt.Errorf("no %s in\n%s", want, m)
			}
		}
		return nil
	})
}
