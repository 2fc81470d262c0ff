package binary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const patience = 20 * time.Second

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// run starts a shell script as if it were Envoy.
func run(t *testing.T, text string, grace time.Duration) (*Process, *buffer, string) {
	t.Helper()
	dir := t.TempDir()
	logs := &buffer{}
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	p, err := Start(t.Context(), Child{
		Path: script(t, filepath.Join(dir, "envoy"), "cd "+dir+"\n"+text), Bootstrap: []byte("node: {}\n"), Dir: filepath.Join(dir, "private"),
		Admin: "unix:" + filepath.Join(dir, "admin"), Concurrency: 3, Grace: grace,
		Log: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: drop})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p, logs, dir
}

func TestAChildIsStartedAsItShould(t *testing.T) {
	p, logs, dir := run(t, `echo "$@" > args; echo 'warning|main|careful'; echo 'info|http|x marked as work-in-progress y' >&2; echo plain; exec sleep 100`, 0)
	eventually(t, "three lines", func() bool { return strings.Count(logs.String(), "\n") == 3 })
	want := "level=WARN msg=\"envoy: careful\" logger=main\nlevel=DEBUG msg=\"envoy: x marked as work-in-progress y\" logger=http\nlevel=INFO msg=\"envoy: plain\" logger=\"\"\n"
	if got := logs.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	args, _ := os.ReadFile(filepath.Join(dir, "args"))
	file := filepath.Join(dir, "private", "bootstrap.yaml")
	for _, a := range []string{"-c " + file, "--concurrency 3", "--disable-hot-restart", "--log-level warning"} {
		if !strings.Contains(string(args), a) {
			t.Errorf("%s has no %s", args, a)
		}
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the bootstrap: %v, %v", st, err)
	}
	if st, err := os.Stat(filepath.Dir(file)); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("its folder: %v, %v", st, err)
	}
	if p.Pid() == 0 {
		t.Error("there is no pid")
	}
	p.Stop()
	if p.Pid() != 0 {
		t.Error("there is a pid after the stop")
	}
}

func TestAChildThatDiesIsStartedAgain(t *testing.T) {
	p, logs, dir := run(t, `echo x >> starts; [ $(wc -l < starts) -lt 3 ] && exit 7; exec sleep 100`, 0)
	eventually(t, "the third start", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "starts"))
		return string(b) == "x\nx\nx\n" && p.Pid() != 0
	})
	if err := p.Last(); err == nil || err.Error() != "exit status 7" {
		t.Errorf("Last is %v", err)
	}
	if n := strings.Count(logs.String(), "Envoy ended and is started again"); n != 2 {
		t.Errorf("%d restarts in the log:\n%s", n, logs)
	}
	if err := syscall.Kill(p.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the fourth start", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "starts"))
		return len(b) == 8
	})
}

func TestWhoAsksIsToldOfEachEnd(t *testing.T) {
	dir := t.TempDir()
	var ends atomic.Int32
	starts := filepath.Join(dir, "starts")
	p, err := Start(t.Context(), Child{
		Path: script(t, filepath.Join(dir, "envoy"), "echo x >> "+starts+"; [ $(wc -l < "+starts+") -lt 2 ] && exit 7; exec sleep 100"), Dir: dir,
		Ended: func() { ends.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second start", func() bool {
		b, _ := os.ReadFile(starts)
		return string(b) == "x\nx\n"
	})
	if n := ends.Load(); n != 1 {
		t.Errorf("it was told %d times before the second start", n)
	}
	if p.Stop(); ends.Load() != 2 {
		t.Errorf("it was told %d times in the end", ends.Load())
	}
}

func TestAChildThatDoesNotListenIsKilled(t *testing.T) {
	p, _, dir := run(t, `trap '' TERM; echo > up; while :; do sleep 0.05; done`, 200*time.Millisecond)
	eventually(t, "it is up", func() bool { _, err := os.Stat(filepath.Join(dir, "up")); return err == nil })
	p.Stop()
	select {
	case <-p.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if err := p.Last(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Last is %v", err)
	}
}

func TestTheContextStopsAChild(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	p, err := Start(ctx, Child{Path: script(t, filepath.Join(dir, "envoy"), "exec sleep 100"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

func TestAProgramThatIsNotThereIsSaidAtOnce(t *testing.T) {
	_, err := Start(t.Context(), Child{Path: "/nowhere/envoy", Dir: t.TempDir()})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestTheAdminPageIsAsked(t *testing.T) {
	p, _, dir := run(t, "exec sleep 100", 0)
	if err := p.Ready(t.Context()); err == nil {
		t.Error("ready without an admin page")
	}
	l, err := net.Listen("unix", filepath.Join(dir, "admin"))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []string
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.URL.String())
		switch {
		case r.URL.Path == "/clusters":
			fmt.Fprint(w, "a.dns::added_via_api::true\na.dns::127.0.0.1:1::cx_total::0\nb.dns::added_via_api::true\n")
		case len(asked) == 1:
			http.Error(w, "INITIALIZING", http.StatusServiceUnavailable)
		}
	})}
	go func() { _ = s.Serve(l) }() // ends with Close
	defer s.Close()
	if err := p.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "INITIALIZING") {
		t.Errorf("got %v", err)
	}
	if err := p.Await(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	cold, err := p.Cold(t.Context(), []string{"a.dns", "b.dns", "c.dns"})
	if got := strings.Join(cold, " "); err != nil || got != "b.dns c.dns" {
		t.Errorf("cold are %s, %v", got, err)
	}
	mu.Lock()
	defer mu.Unlock()
	want := "GET /ready, GET /ready, POST /drain_listeners?graceful&skip_exit, GET /clusters"
	if got := strings.Join(asked, ", "); got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
}
