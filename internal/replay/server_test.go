package replay

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

func start(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	xs, err := Read(strings.NewReader(allLines))
	if err != nil {
		t.Fatal(err)
	}
	s := Handler(xs, o)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, srv.URL
}

// ask sends a request; headers come as "name: value".
func ask(t *testing.T, method, url, body string, headers ...string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		if name, value, ok := strings.Cut(h, ": "); ok {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func TestPickTakesTheFirstHit(t *testing.T) {
	_, base := start(t, Options{})
	for name, c := range map[string]struct {
		path, body, header string
		want               string // start of the body
	}{
		"header":                             {"/any", `{"model":"bb"}`, "x-replay-id: aa", `{"ok": true}`},
		"query":                              {"/any?x-replay-id=aa", ``, "", `{"ok": true}`},
		"path prefix":                        {"/r/aa/v1/chat/completions", `{"model":"bb"}`, "", `{"ok": true}`},
		"the body's model":                   {"/v1/x", `{"model":"aa"}`, "", `{"ok": true}`},
		"the model behind a provider's name": {"/v1/x", `{"model":"openai/aa"}`, "", `{"ok": true}`},
		"the model with settings":            {"/v1/x", `{"model":"aa;cut=200"}`, "", `{"ok": true}`},
		"the model in the path":              {"/v1beta/models/aa:generateContent", `{}`, "", `{"ok": true}`},
		"path, settings and a method":        {"/v1beta/models/aa;chunk=bytes:3:generateContent", `{}`, "", `{"ok": true}`},
		"path, settings that end in a count": {"/model/aa;chunk=bytes:3/converse", `{}`, "", `{"ok": true}`},
		"escaped path":                       {"/model/aa%3Bchunk%3Dwhole/converse", `{}`, "", `{"ok": true}`},
		"same path and model":                {"/v1/chat/completions", `{"model":"gpt-x"}`, "", `{"ok": true}`},
		"same path, model and streaming":     {"/v1/messages", `{"model":"claude-x","stream":true}`, "", "event: a\n"},
		"a streaming path":                   {"/model/m/converse-stream", `{}`, "", "\x00\x00\x00\x06"},
		"another model":                      {"/v1/chat/completions", `{"model":"gpt-y"}`, "", `{"error":{"code":null,"message":"replay: no recorded`},
		"same path, not streaming":           {"/v1/messages", `{"model":"claude-x"}`, "", `{"error"`},
		"unknown id":                         {"/r/zz/v1/chat/completions", `{"model":"aa"}`, "", `{"error"`},
		"no JSON":                            {"/v1/chat/completions", `{"model":"aa`, "", `{"ok": true}`}, // only the path is known
		"a path that is no UTF-8":            {"/%ff", ``, "", `{"error"`},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body, err := ask(t, "POST", base+c.path, c.body, c.header)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(body, c.want) {
				t.Errorf("got %q, want %q…", body, c.want)
			}
			if want := strings.HasPrefix(c.want, `{"error"`); want != (resp.StatusCode == 404) {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
}

func TestEveryRecordComesBackAsItIs(t *testing.T) {
	s, base := start(t, Options{Sleep: func(context.Context, time.Duration) error { return nil }})
	types := map[string]string{"aa": "application/json", "bb": "text/event-stream", "cc": "application/vnd.amazon.eventstream", "dd": "text/plain; charset=utf-8", "ee": "application/x-ndjson"}
	for _, x := range s.list {
		want, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		for _, chunk := range []string{"whole", "event", "bytes:1", "bytes:7", ""} {
			resp, body, err := ask(t, "POST", base+"/r/"+x.ID+"/v1", "{}", "x-replay-chunk: "+chunk)
			if err != nil {
				t.Fatal(err)
			}
			if body != string(want) || resp.StatusCode != x.Status || resp.Header.Get("content-type") != types[x.ID] {
				t.Errorf("%s in %q: got %d %s %q", x.ID, chunk, resp.StatusCode, resp.Header.Get("content-type"), body)
			}
			if resp.Header.Get("content-encoding") != "" || x.ID == "aa" && resp.Header.Get("x-request-id") != "req_1" {
				t.Errorf("%s: headers %v", x.ID, resp.Header)
			}
		}
	}
}

func TestEventsLeaveOneByOne(t *testing.T) {
	step := make(chan struct{})
	_, base := start(t, Options{Sleep: func(ctx context.Context, d time.Duration) error {
		if d != 5*time.Millisecond {
			t.Errorf("slept %v", d)
		}
		<-step
		return nil
	}})
	resp, err := http.Post(base+"/v1/messages", "application/json", strings.NewReader(`{"model":"bb;delay=5"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for _, want := range []string{"event: a\ndata: 1\n\n", "data: 2\r\n\r\n", ": c\n\n", "data: [DONE]"} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(in, got); err != nil {
			t.Fatal(err)
		}
		// The server waits now: nothing beyond this event can have been sent.
		if string(got) != want || in.Buffered() > 0 {
			t.Errorf("got %q and %d more bytes, want %q", got, in.Buffered(), want)
		}
		if want != "data: [DONE]" {
			step <- struct{}{}
		}
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

func TestFaults(t *testing.T) {
	_, base := start(t, Options{})
	t.Run("reset before the head", func(t *testing.T) {
		_, _, err := ask(t, "POST", base, `{"model":"aa;fault=reset"}`)
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cut closes within the body", func(t *testing.T) {
		resp, body, err := ask(t, "POST", base, `{"model":"bb;cut=12"}`)
		if resp == nil || resp.StatusCode != 200 || body != "event: a\ndat" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %q, %v", body, err)
		}
	})
	t.Run("cut of a whole answer", func(t *testing.T) {
		_, body, err := ask(t, "POST", base, `{"model":"aa"}`, "x-replay-cut: 5")
		if body != `{"ok"` || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %q, %v", body, err)
		}
	})
	t.Run("reset within the body", func(t *testing.T) {
		_, body, err := ask(t, "POST", base+"/?x-replay-fault=reset&x-replay-cut=12", `{"model":"bb"}`)
		if !strings.HasPrefix("event: a\ndat", body) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %q, %v", body, err)
		}
	})
}

func TestFaultsWithoutABrokenConnection(t *testing.T) {
	_, base := start(t, Options{ByID: map[string]Pace{"ee": {Status: 503}}})
	t.Run("stall until the client leaves", func(t *testing.T) {
		for model, want := range map[string]string{"bb;fault=stall": "", "bb;fault=stall;cut=3": "eve"} {
			ctx, cancel := context.WithCancel(t.Context())
			req, _ := http.NewRequestWithContext(ctx, "POST", base, strings.NewReader(`{"model":"`+model+`"}`))
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
				t.Errorf("got %q, %v", got, err)
			}
			cancel()
			if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, context.Canceled) {
				t.Errorf("%d more bytes, %v", n, err)
			}
			resp.Body.Close()
		}
	})
	t.Run("empty", func(t *testing.T) {
		resp, body, err := ask(t, "POST", base, `{"model":"bb;fault=empty"}`)
		if err != nil || resp.StatusCode != 200 || body != "" {
			t.Errorf("got %d %q, %v", resp.StatusCode, body, err)
		}
	})
	t.Run("status", func(t *testing.T) {
		for model, want := range map[string]string{
			"bb;status=529": `{"error":{"message":"replayed with status 529","type":"api_error"},"type":"error"}`,
			"aa;status=500": `{"error":{"code":null,"message":"replayed with status 500","param":null,"type":"server_error"}}`,
			"cc;status=503": `{"message":"replayed with status 503"}`,
			"ee":            `{"error":{"code":null,"message":"replayed with status 503","param":null,"type":"server_error"}}`,
			"ee;status=200": "{}\n{\"a\":1}\n",
			"dd;status=503": "slow down",
		} {
			resp, body, err := ask(t, "POST", base, `{"model":"`+model+`"}`)
			if err != nil || body != want {
				t.Errorf("%s: got %d %s, %v", model, resp.StatusCode, body, err)
			}
			if _, s, ok := strings.Cut(model, "status="); ok && !strings.HasPrefix(resp.Status, s) {
				t.Errorf("%s: got %s", model, resp.Status)
			}
		}
	})
}

func TestBadSettingsAreNamed(t *testing.T) {
	_, base := start(t, Options{})
	for _, c := range []struct{ model, header, want string }{
		{"aa;cut=0", "", `model: cut: "0" is no whole number`},
		{"aa;chunk=bytes:x", "", `model: chunk: "bytes:x"`},
		{"aa;pace=1", "", "model: pace: no such setting"},
		{"aa;cut", "", "model: cut: the setting has no value"},
		{"aa", "x-replay-status: 99", `x-replay-status: "99"`},
		{"aa", "x-replay-delay-ms: soon", `x-replay-delay: "soon"`},
		{"aa", "x-replay-fault: odd", `x-replay-fault: "odd"`},
	} {
		resp, body, err := ask(t, "POST", base, `{"model":"`+c.model+`"}`, c.header)
		if err != nil {
			t.Fatal(err)
		}
		message, _ := jsonx.String(jsonx.At([]byte(body), "error", "message"))
		if resp.StatusCode != 400 || !strings.HasPrefix(message, "replay: "+c.want) {
			t.Errorf("%s %s: got %d %q, want %q…", c.model, c.header, resp.StatusCode, message, c.want)
		}
	}
}

func TestLastRequestIsShownWithoutCredentials(t *testing.T) {
	s, base := start(t, Options{})
	if resp, _, _ := ask(t, "GET", base+"/__last/aa", ""); resp.StatusCode != 404 {
		t.Errorf("before any request: %d", resp.StatusCode)
	}
	_, _, err := ask(t, "POST", base+"/v1/x?key=sk-query&beta=true", `{"model":"aa","x":1}`, "authorization: Bearer sk-1", "x-api-key: sk-2", "anthropic-beta: b")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := ask(t, "GET", base+"/__last/aa", "")
	if strings.Contains(shown, "sk-") {
		t.Errorf("a credential is shown: %s", shown)
	}
	for path, want := range map[string]string{"body": `{"model":"aa","x":1}`, "path": "/v1/x?beta=true&key=%5Bredacted%5D", "method": "POST"} {
		if got, _ := jsonx.String(jsonx.Get([]byte(shown), path)); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if got, _ := jsonx.String(jsonx.At([]byte(shown), "headers", "anthropic-beta")); got != "b" {
		t.Errorf("headers: %s", shown)
	}
	seen, ok := s.Last("aa")
	if !ok || seen.Header.Get("x-api-key") != "sk-2" || string(seen.Body) != `{"model":"aa","x":1}` {
		t.Errorf("Last: %+v", seen)
	}
}

func TestIndexListsEveryRecord(t *testing.T) {
	_, base := start(t, Options{})
	_, body, err := ask(t, "GET", base+"/__index", "")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, e := range jsonx.Elements(jsonx.Get([]byte(body), "exchanges")) {
		id, _ := jsonx.String(jsonx.Get(e, "id"))
		ids = append(ids, id)
	}
	if got := strings.Join(ids, " "); got != "aa bb cc dd ee" {
		t.Errorf("got %s", got)
	}
	if resp, body, _ := ask(t, "GET", base+"/healthz", ""); resp.StatusCode != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %q", resp.StatusCode, body)
	}
}
