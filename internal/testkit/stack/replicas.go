package stack

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Replicas starts several services and one Envoy before them, each with a configuration of its own, whose listen and envoy
// sections are added here. Envoy's threads have connections of their own, which go to the services in turn: what belongs to one
// exchange comes to one service, and another exchange, or what a service sends by itself, to any of them. Base is the same for
// all.
func Replicas(t testing.TB, n int, yaml func(i int) string) []*Stack {
	t.Helper()
	front := prepare(t, yaml(0))
	shared := "own: unix:" + front.Dir + "/own.sock, "
	front.listen = strings.Replace(front.listen, "listen: { ", "listen: { "+shared, 1)
	write(t, front.Config, front.listen+yaml(0))
	all := make([]*Stack, n)
	var sockets []string
	for i := range all {
		s := prepare(t, yaml(i))
		s.Base, s.command = front.Base, "serve"
		_, http, _ := strings.Cut(front.Base, "http://")
		s.listen = fmt.Sprintf("listen: { %shttp: %s, admin: %s, service: unix:%s/s.sock, control: unix:%s/c.sock }\nenvoy: { admin: unix:%s/a.sock, concurrency: 2 }\nlog: { level: debug }\n",
			shared, http, strings.TrimPrefix(s.Admin, "http://"), s.Dir, s.Dir, front.Dir)
		write(t, s.Config, s.listen+yaml(i))
		s.Serve()
		all[i], sockets = s, append(sockets, filepath.Join(s.Dir, "s.sock"))
	}
	for _, s := range all {
		Eventually(t, startup, "a service", func() error { return get(s.Admin + "/healthz") })
	}
	between(t, filepath.Join(front.Dir, "s.sock"), sockets)
	bootstrap := filepath.Join(front.Dir, "bootstrap.yaml")
	write(t, bootstrap, Output(t, Binary(t), "envoy", "bootstrap", "--config", front.Config))
	path := strings.TrimSpace(Output(t, Binary(t), "envoy", "path"))
	envoy := Start(t, path, nil, "-c", bootstrap, "--concurrency", "4", "--disable-hot-restart", "-l", "warning")
	Eventually(t, startup, "Envoy", func() error {
		if err := envoy.Alive(); err != nil {
			t.Fatalf("%v\n%s", err, envoy.Output())
		}
		return get(front.Base + "/v1/models")
	})
	t.Cleanup(func() { // while Envoy can still tell them what has ended, for which they would wait to no end
		for _, s := range all {
			s.service.Stop()
		}
	})
	return all
}

// between listens on a socket until the test ends, and connects who comes with others, one after the other.
func between(t testing.TB, socket string, to []string) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for i := 0; ; i++ {
			in, err := l.Accept()
			if err != nil {
				return // the test ends
			}
			out, err := net.Dial("unix", to[i%len(to)])
			if err != nil { // the service is away: so is its connection
				_ = in.Close()
				continue
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				wg.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
					_ = way[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}
