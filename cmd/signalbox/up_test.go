package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

const (
	secretOne = "swordfish-one-0123456789"
	secretTwo = "swordfish-two-0123456789"
)

// ask sends a chat without keeping the connection.
func ask(base, model string, stream bool) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodPost, base+"/v1/chat/completions",
		strings.NewReader(fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":"Hello"}]}`, model, stream)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("content-type", "application/json")
	req.Close = true
	return http.DefaultTransport.RoundTrip(req)
}

// whole returns the body of a chat, or an error if it is not answered well.
func whole(base, model string) (string, error) {
	res, err := ask(base, model, false)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, b)
	}
	return string(b), err
}

// TestAStopLetsStreamsEnd stops "signalbox up" in the middle of a stream. Ctrl-C reaches all that a shell started.
func TestAStopLetsStreamsEnd(t *testing.T) {
	for name, stop := range map[string]func(pid int) error{
		"SIGTERM": func(pid int) error { return syscall.Kill(pid, syscall.SIGTERM) },
		"Ctrl-C":  func(pid int) error { return syscall.Kill(-pid, syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			must(t, os.WriteFile(filepath.Join(p.dir, "signalbox.yaml"), []byte(strings.TrimPrefix(p.ports(mockOnly), "drain: 1s\n")), 0o600))
			service := p.serve(t)
			base, admin := "http://127.0.0.1:"+p.http, "http://127.0.0.1:"+p.admin
			res, err := ask(base, "mock/pace:100ms+tokens:30", true)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body := bufio.NewReader(res.Body)
			if line, err := body.ReadString('\n'); err != nil || !strings.HasPrefix(line, "data: ") {
				t.Fatalf("%q, %v", line, err)
			}
			must(t, stop(service.Pid()))
			stack.Eventually(t, 30*time.Second, "new connections are refused", func() error {
				c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
				if err == nil {
					_ = c.Close()
					return fmt.Errorf("one was accepted")
				}
				return nil
			})
			if err := service.Alive(); err != nil {
				t.Errorf("it did not wait for the stream: %v", err)
			}
			if page, err := http.Get(admin + "/readyz"); err != nil {
				t.Error(err)
			} else if b, _ := io.ReadAll(page.Body); page.StatusCode != http.StatusServiceUnavailable || string(b) != "draining\n" {
				t.Errorf("/readyz says %s: %s", page.Status, b)
			}
			rest, err := io.ReadAll(body)
			if err != nil {
				t.Fatalf("the stream broke: %v", err)
			}
			if n := strings.Count(string(rest), `"content"`); n < 25 || !strings.HasSuffix(strings.TrimSpace(string(rest)), "data: [DONE]") {
				t.Errorf("the stream is not whole: %d pieces: %s", n, rest)
			}
			stack.Eventually(t, 30*time.Second, "it ends", func() error {
				if service.Alive() == nil {
					return fmt.Errorf("it runs")
				}
				return nil
			})
			if err := service.Alive(); err.Error() != "the process ended: exit status 0" {
				t.Error(err)
			}
			if strings.Contains(service.Output(), "drain time is over") {
				t.Error("the drain time was waited for")
			}
		})
	}
}

// pid finds the Envoy that the service started last.
var pid = regexp.MustCompile(`msg="envoy runs".* pid=(\d+)`)

func TestAnEnvoyThatDiesIsStartedAgain(t *testing.T) {
	s := stack.Up(t, "providers: [ { name: mock, kind: mock } ]\n")
	found := pid.FindStringSubmatch(s.Log())
	if found == nil {
		t.Fatal("the log does not say which Envoy runs")
	}
	n, _ := strconv.Atoi(found[1])
	if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	stack.Eventually(t, 30*time.Second, "the death is noticed", func() error {
		if !strings.Contains(s.Log(), "Envoy ended and is started again") {
			return fmt.Errorf("the log does not say so")
		}
		return nil
	})
	stack.Eventually(t, 30*time.Second, "requests are served again", func() error {
		_, err := whole(s.Base, "mock/echo")
		return err
	})
	stack.Eventually(t, 30*time.Second, "it is ready again", func() error {
		res, err := http.Get(s.Admin + "/readyz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", res.Status)
		}
		return nil
	})
}

// TestASecretIsRotatedWithoutARestart replaces the file of a provider's key, and on SIGHUP the variable part.
func TestASecretIsRotatedWithoutARestart(t *testing.T) {
	seen := make(chan string, 1)
	provider := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-seen:
		default:
		}
		seen <- r.Header.Get("authorization")
		w.Header().Set("content-type", "application/json")
		fmt.Fprint(w, `{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}`)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() { _ = provider.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = provider.Close() })
	dir, err := os.MkdirTemp("", "sb") // short: a path that looks like a key is refused
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "key")
	put := func(key string) {
		t.Helper()
		must(t, os.WriteFile(file+".new", []byte(key+"\n"), 0o600))
		must(t, os.Rename(file+".new", file))
	}
	put(secretOne)
	s := stack.Up(t, fmt.Sprintf("providers: [ { name: p, kind: openai-compatible, base_url: http://%s/v1, key: \"file:%s\" } ]\n", l.Addr(), file))
	uses := func(want string) {
		t.Helper()
		stack.Eventually(t, 30*time.Second, "requests carry the key in place", func() error {
			if _, err := whole(s.Base, "p/m"); err != nil {
				return err
			}
			if got := <-seen; got != "Bearer "+want {
				return fmt.Errorf("another key")
			}
			return nil
		})
	}
	uses(secretOne)
	put(secretTwo)
	uses(secretTwo)
	must(t, os.Remove(file))
	s.Service().Signal(syscall.SIGHUP)
	stack.Eventually(t, 30*time.Second, "a key that is gone is refused", func() error {
		if !strings.Contains(s.Metrics(), `signalbox_reload_total{result="refused"}`) {
			return fmt.Errorf("not counted")
		}
		return nil
	})
	uses(secretTwo)
	put(secretOne)
	uses(secretOne)
	for _, secret := range []string{secretOne, secretTwo} {
		if strings.Contains(s.Log(), secret) || strings.Contains(s.Metrics(), secret) {
			t.Error("a secret was written")
		}
	}
}

// TestReadinessComesAfterALateEnvoy changes the configuration of a service before any Envoy is there.
func TestReadinessComesAfterALateEnvoy(t *testing.T) {
	p := newPlace(t)
	config := filepath.Join(p.dir, "signalbox.yaml")
	service := stack.Start(t, "/usr/bin/env", nil, "-C", p.dir, filepath.Join(p.dir, "bin/signalbox"), "serve")
	says := func(want string) {
		t.Helper()
		stack.Eventually(t, 30*time.Second, "/readyz says "+want, func() error {
			res, err := http.Get("http://127.0.0.1:" + p.admin + "/readyz")
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if b, _ := io.ReadAll(res.Body); string(b) != want+"\n" {
				return fmt.Errorf("%s", b)
			}
			return nil
		})
	}
	says("no Envoy has taken its configuration yet")
	must(t, os.WriteFile(config, []byte(p.ports(mockOnly)+"aliases: { smart: mock/echo }\n"), 0o600))
	stack.Eventually(t, 30*time.Second, "the change is seen", func() error {
		if !strings.Contains(service.Output(), "configuration in place") {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	bootstrap := filepath.Join(p.dir, "bootstrap.yaml")
	must(t, os.WriteFile(bootstrap, []byte(p.shell(t, block{text: "bin/signalbox envoy bootstrap\n"}, "")), 0o600))
	stack.Start(t, filepath.Join(p.dir, "bin/envoy"), nil, "-c", bootstrap, "--disable-hot-restart", "-l", "error")
	says("ready")
	if body, err := whole("http://127.0.0.1:"+p.http, "smart"); err != nil {
		t.Error(err)
	} else {
		isChat(t, body, "Hello")
	}
}

// TestAHangupReadsAgain changes what no watch can see: the output of a command.
func TestAHangupReadsAgain(t *testing.T) {
	dir, err := os.MkdirTemp("", "sb")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "key")
	must(t, os.WriteFile(file, []byte(secretOne), 0o600))
	s := stack.Up(t, "providers: [ { name: mock, kind: mock }, { name: p, kind: openai, key: \"exec:cat "+file+"\" } ]\n")
	must(t, os.Remove(file))
	s.Service().Signal(syscall.SIGHUP)
	counted := func(line string) {
		t.Helper()
		stack.Eventually(t, 30*time.Second, line, func() error {
			if !strings.Contains(s.Metrics(), line+"\n") {
				return fmt.Errorf("not counted")
			}
			return nil
		})
	}
	counted(`signalbox_reload_total{result="refused"} 1`)
	must(t, os.WriteFile(file, []byte(secretTwo), 0o600))
	s.Service().Signal(syscall.SIGHUP)
	counted(`signalbox_reload_total{result="ok"} 1`)
	if _, err := whole(s.Base, "mock/echo"); err != nil {
		t.Error(err)
	}
	if strings.Contains(s.Log(), secretOne) || strings.Contains(s.Log(), secretTwo) {
		t.Error("a secret was logged")
	}
}
