package outlet_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/outlet"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/telemetry/otlp"
	"github.com/signalbox-ai/signalbox/internal/testkit/collector"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

func TestAWebhookGetsPiecesOfTheStream(t *testing.T) {
	for _, format := range []string{outlet.JSONL, outlet.Protobuf} {
		t.Run(format, func(t *testing.T) {
			r := newRig(t)
			var mu sync.Mutex
			var got []string
			var posts []string
			hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				body, _ := io.ReadAll(q.Body)
				posts = append(posts, q.Header.Get("Webhook-Id"))
				if q.Header.Get("Webhook-Signature") == "" || !strings.HasPrefix(q.Header.Get("Content-Type"), map[string]string{outlet.JSONL: "application/x-ndjson", outlet.Protobuf: "application/x-protobuf"}[format]) {
					t.Errorf("headers %v", q.Header)
				}
				switch len(posts) {
				case 1:
					w.WriteHeader(http.StatusServiceUnavailable)
				case 2:
					w.WriteHeader(http.StatusUnauthorized) // wrong now, and put right later
				default:
					got = append(got, read(t, format, body)...)
				}
			}))
			defer hook.Close()
			key := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(key, []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			r.write("a", "b")
			r.run(&outlet.Webhook{To: channel.Webhook{URL: hook.URL, Secret: secret.Ref("file:" + key)}, Format: format})
			r.empty()
			r.write("c")
			r.empty()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(got, []string{"a", "b", "c"}) || len(posts) != 4 || posts[0] != posts[2] || posts[2] == posts[3] || posts[0] == "" {
				t.Errorf("got %v in %v", got, posts)
			}
		})
	}
}

func TestAWebhookThatDoesNotWantARecordIsToldTheOthers(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	var got []string
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(q.Body)
		ids := read(t, outlet.JSONL, body)
		if slices.Contains(ids, "bad") {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		got = append(got, ids...)
	}))
	defer hook.Close()
	r.write("a", "bad", "b", "c")
	r.run(&outlet.Webhook{To: channel.Webhook{URL: hook.URL}})
	r.empty()
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %v", got)
	}
}

func TestAFileIsWholeAfterACrash(t *testing.T) {
	for _, format := range []string{outlet.JSONL, outlet.Protobuf} {
		t.Run(format, func(t *testing.T) {
			r := newRig(t)
			path := filepath.Join(t.TempDir(), "made/usage")
			contents := func(path string) []string {
				t.Helper()
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				return read(t, format, b)
			}
			stop := r.run(&outlet.File{Path: path, Format: format})
			r.write("a", "b")
			r.empty()
			stop()
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, whole[:len(whole)-7], 0o600); err != nil { // the disk had no more of it
				t.Fatal(err)
			}
			r.run(&outlet.File{Path: path, Format: format})
			r.write("c")
			r.empty()
			if got := contents(path); !slices.Equal(got, []string{"a", "c"}) {
				t.Errorf("got %v", got)
			}
			if err := os.Rename(path, path+".1"); err != nil { // it is rotated
				t.Fatal(err)
			}
			r.write("d")
			r.empty()
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			r.write("e")
			r.empty()
			if old, now := contents(path+".1"), contents(path); !slices.Equal(old, []string{"a", "c"}) || !slices.Equal(now, []string{"e"}) {
				t.Errorf("got %v and %v", old, now)
			}
			if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", st, err)
			}
		})
	}
}

func TestAPipeIsReadWhole(t *testing.T) {
	for _, format := range []string{outlet.JSONL, outlet.Protobuf} {
		t.Run(format, func(t *testing.T) {
			r := newRig(t)
			path := filepath.Join(t.TempDir(), "pipe")
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			var want []string
			var all []*ledger.Record
			for i := range 400 { // more than a pipe holds
				rec := ledgertest.Make("x", ledgertest.Noon())
				rec.ID = strings.Repeat("x", i%40) + string(rune('a'+i%26)) + time.Duration(i).String()
				want, all = append(want, rec.ID), append(all, rec)
			}
			ledgertest.Write(t, r.store, all...)
			r.run(&outlet.File{Path: path, Format: format}, func(p *outlet.Params) { p.Wait = 150 * time.Millisecond })
			r.wantMetric("signalbox_ledger_export_up queue", "0") // nobody reads it
			f, err := os.OpenFile(path, os.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var b []byte
			buf := make([]byte, 10_000)
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); { // slower than it is written
				_ = f.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				n, err := f.Read(buf)
				b = append(b, buf[:n]...)
				if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && err != io.EOF {
					t.Fatal(err)
				}
				if w, err := r.store.Backlog(t.Context(), "queue"); err == nil && w.Records == 0 && n == 0 {
					break
				}
				time.Sleep(3 * time.Millisecond)
			}
			got := slices.Compact(slices.Sorted(slices.Values(read(t, format, b))))
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestACollectorGetsLogRecords(t *testing.T) {
	r := newRig(t)
	to := collector.Start(t)
	for _, protocol := range []string{otlp.GRPC, otlp.HTTP} {
		at, _ := url.Parse(map[string]string{otlp.GRPC: to.GRPC, otlp.HTTP: to.HTTP}[protocol])
		c, err := otlp.NewClient(otlp.Options{Protocol: protocol, Endpoint: at, Compress: true})
		if err != nil {
			t.Fatal(err)
		}
		renewed := 0
		to.Answer(func(n int) error {
			if n == 1 {
				return status.Error(codes.Unavailable, "later")
			}
			return nil
		}, 0)
		stop := r.run(&outlet.Collector{Client: c, Renew: func(context.Context) error { renewed++; return nil }, Resource: otlp.Resource(otlp.Text("service.name", "signalbox"))})
		want := r.write("of " + protocol)[0]
		r.empty()
		all := to.Logs()
		got := all[len(all)-1]
		line, err := ledger.Decode([]byte(got.GetBody().GetStringValue()))
		if err != nil || cmp.Diff(want, line) != "" {
			t.Errorf("the body is %s, %v", got.GetBody(), err)
		}
		a := collector.Attributes(got.GetAttributes())
		for name, v := range map[string]any{
			"signalbox.organization": "acme", "signalbox.team": "core", "signalbox.tag.feature": "search", "gen_ai.usage.input_tokens": int64(1500), "gen_ai.usage.output_tokens": int64(500),
			"signalbox.cost.nano_usd": int64(12_500_000), "signalbox.status": "ok", "gen_ai.request.model": "smart", "gen_ai.response.model": "gpt-5.1", "signalbox.exchange.id": want.ID,
		} {
			if a[name] != v {
				t.Errorf("%s is %v, want %v", name, a[name], v)
			}
		}
		if got.GetEventName() != outlet.EventName || len(got.GetTraceId()) != 16 || got.GetTimeUnixNano() != uint64(want.At.UnixNano()) || renewed != 1 {
			t.Errorf("got %v, renewed %d times", got, renewed)
		}
		to.Answer(func(n int) error {
			if n == 1 {
				return status.Error(codes.InvalidArgument, "no") // the two together
			}
			return nil
		}, 1)
		r.write("one of "+protocol, "another of "+protocol)
		r.empty()
		if n := to.Requests(); n != 3 {
			t.Errorf("%d requests", n)
		}
		stop()
	}
	r.wantMetric("signalbox_ledger_export_records_total refused queue", "4")
	r.wantMetric("signalbox_ledger_export_records_total delivered queue", "2")
}
