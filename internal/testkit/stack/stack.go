// Package stack starts the real thing for tests: the signalbox program with a real Envoy, on free loopback
// ports, in a folder of its own. It is for tests only; it stops what it started, by its pid.
package stack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Stack is a running Signalbox.
type Stack struct {
	Base   string // of the clients' listener, as http://127.0.0.1:1234
	Admin  string // of health checks and metrics
	Dir    string // holds the configuration and the sockets
	Config string // path of the configuration file

	t       testing.TB
	listen  string // the listen and envoy sections
	command string // of the service: up or serve
	service *Process
	envoy   *Process // when it runs apart from the service
}

// startup bounds how long anything may take to come up on a busy machine.
const startup = 60 * time.Second

// Up starts "signalbox up" in a folder of its own with a configuration, whose listen and envoy sections are added here.
func Up(t testing.TB, yaml string) *Stack {
	t.Helper()
	s := prepare(t, yaml)
	s.command = "up"
	s.Serve()
	s.ready()
	return s
}

// Apart starts "signalbox serve" and an Envoy beside it, so that either can be killed alone.
func Apart(t testing.TB, yaml string) *Stack {
	t.Helper()
	s := prepare(t, yaml)
	s.command = "serve"
	s.Serve()
	bootstrap := filepath.Join(s.Dir, "bootstrap.yaml")
	write(t, bootstrap, Output(t, Binary(t), "envoy", "bootstrap", "--config", s.Config))
	path := strings.TrimSpace(Output(t, Binary(t), "envoy", "path"))
	s.envoy = Start(t, path, nil, "-c", bootstrap, "--concurrency", "2", "--disable-hot-restart", "-l", "warning")
	s.ready()
	return s
}

// Serve starts the service of a stack whose service was killed, with its Envoy if that is its child.
func (s *Stack) Serve() {
	s.t.Helper()
	s.service = Start(s.t, "/usr/bin/env", nil, "-C", s.Dir, Binary(s.t), s.command, "--config", s.Config)
}

// Ready returns nil once the service says that it is ready.
func (s *Stack) Ready() error { return get(s.Admin + "/readyz") }

// Service returns the process of the service, and Envoy that of an Envoy that runs apart.
func (s *Stack) Service() *Process { return s.service }

// Envoy returns the process of an Envoy that runs apart.
func (s *Stack) Envoy() *Process { return s.envoy }

// Local returns what connections to the admin API's local socket are made with, at whose http://local it is.
func (s *Stack) Local() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.Dir+"/c.sock")
	}}}
}

// Rewrite replaces the configuration file as an editor would, by rename. The service reloads by itself.
func (s *Stack) Rewrite(yaml string) {
	s.t.Helper()
	tmp := s.Config + ".new"
	write(s.t, tmp, s.listen+yaml)
	if err := os.Rename(tmp, s.Config); err != nil {
		s.t.Fatal(err)
	}
}

// Log returns what the service has written so far.
func (s *Stack) Log() string { return s.service.Output() }

func prepare(t testing.TB, yaml string) *Stack {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb") // short: a socket's path holds about a hundred bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	http, admin := FreePort(t), FreePort(t)
	s := &Stack{t: t, Dir: dir, Config: filepath.Join(dir, "signalbox.yaml"), Base: "http://127.0.0.1:" + http, Admin: "http://127.0.0.1:" + admin}
	log := "log: { level: debug }\n"
	if strings.Contains(yaml, "\nlog:") {
		log = ""
	}
	s.listen = fmt.Sprintf("listen: { http: 127.0.0.1:%s, admin: 127.0.0.1:%s, service: unix:%s/s.sock, control: unix:%s/c.sock }\nenvoy: { admin: unix:%s/a.sock, concurrency: 2 }\n%s", http, admin, dir, dir, dir, log)
	write(t, s.Config, s.listen+yaml)
	return s
}

// ready waits until both the service and Envoy's listener answer.
func (s *Stack) ready() {
	s.t.Helper()
	Eventually(s.t, startup, "signalbox is ready", func() error {
		if err := s.service.Alive(); err != nil {
			s.t.Fatalf("%v\n%s", err, s.service.Output())
		}
		if err := get(s.Admin + "/readyz"); err != nil {
			return err
		}
		return get(s.Base + "/v1/models")
	})
}

func get(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("%s: %s: %s", url, res.Status, b)
	}
	return nil
}

// Metrics returns the text of the metrics page.
func (s *Stack) Metrics() string {
	s.t.Helper()
	res, err := http.Get(s.Admin + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// FreePort returns a loopback port that was free a moment ago. It is below those that the kernel gives to connections and to
// listeners that name none, one of which would take it before the program that is meant to have it; so is the port that is
// 10,000 higher, where a node of a Redis Cluster has its bus.
func FreePort(t testing.TB) string {
	t.Helper()
	const low, high = 12_000, 22_000
	var err error
	for range 100 {
		port := strconv.Itoa(low + rand.IntN(high-low))
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal(err)
	return ""
}

// Eventually tries f until it succeeds, and fails the test when it never does.
func Eventually(t testing.TB, within time.Duration, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("not within %s: %s: %v", within, what, err)
}

// Process is a child process of the test.
type Process struct {
	cmd  *exec.Cmd
	out  lockedBuffer
	done chan struct{}
}

// Start starts a program. It is stopped when the test ends; its output is shown when the test failed.
func Start(t testing.TB, path string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	go func() { // ends when the process does
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("output of %s %s:\n%s", filepath.Base(path), strings.Join(args, " "), tail(p.Output(), 12<<10))
		}
	})
	return p
}

// Pid returns the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Output returns what the process has written so far.
func (p *Process) Output() string { return p.out.String() }

// Alive returns an error once the process has ended.
func (p *Process) Alive() error {
	select {
	case <-p.done:
		return fmt.Errorf("the process ended: %s", p.cmd.ProcessState)
	default:
		return nil
	}
}

// Signal sends a signal.
func (p *Process) Signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// Kill ends the process at once and waits for it.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop ends the process politely, and waits.
func (p *Process) Stop() {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.Kill()
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}
