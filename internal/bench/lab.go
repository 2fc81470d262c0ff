package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/bench/proc"
	"github.com/signalbox-ai/signalbox/internal/bench/traffic"
)

// startup bounds how long anything may take to come up.
const startup = 60 * time.Second

// environment is what configurations refer to: the credential for the provider, and what keys of stores are hashed with.
var environment = []string{"BENCH_PROVIDER_KEY=sk-bench", "BENCH_KEYS_SECRET=" + pepper}

// lab starts what is compared, each with processes of its own.
type lab struct {
	binary, dir, out string
	rivalBinary      string // "": it is not measured
	upstream         *traffic.Upstream
	pinned           bool
	envoy            string // path of the Envoy
	key              string // the client's
	processes        []*proc.Process
}

// stop stops everything that was started.
func (l *lab) stop() {
	for _, p := range slices.Backward(l.processes) {
		p.Stop()
	}
	l.processes = nil
}

// prepare finds the Envoy, and makes the client's key.
func (l *lab) prepare(ctx context.Context) error {
	path, err := l.output(ctx, "envoy", "path")
	if err != nil {
		return fmt.Errorf("finding Envoy by %s: %w", l.binary, err)
	}
	l.envoy = strings.TrimSpace(string(path))
	l.key, err = auth.Generate("bench")
	return err
}

// rows starts the subjects that are named, or all.
func (l *lab) rows(ctx context.Context, only string) ([]*row, error) {
	all := []struct {
		row   row
		start func(context.Context, *row) error
	}{
		{row{name: "upstream", title: "upstream alone", whole: "none", stream: "none", usage: true}, func(_ context.Context, r *row) error { r.addr = l.upstream.Address(); return nil }},
		{row{name: "bare", title: "bare Envoy", whole: "none", stream: "none", usage: true}, l.bare},
		{row{name: "direct", title: "direct", whole: "direct", stream: "direct", usage: true, path: "direct"}, l.signalbox},
		{row{name: "plain", title: "direct, no limits, no ledger", whole: "direct", stream: "direct", usage: true, path: "direct", setting: setting{keeps: plain}}, l.signalbox},
		{row{name: "parsed", title: "direct, usage by Envoy", whole: "direct", stream: "direct", usage: true, path: "direct", setting: setting{reads: "envoy"}}, l.signalbox},
		{row{name: "watched", title: "watched", whole: "watched", stream: "watched", usage: true, path: "watched"}, l.signalbox},
		{row{name: "worked", title: "worked: translation", whole: "worked", stream: "worked", usage: true, path: "worked"}, l.signalbox},
		{row{name: "rival", title: "Envoy AI Gateway", whole: "direct", stream: "direct", usage: true}, l.rival},
		{row{name: "strip", title: "worked: usage stripped", stream: "strip", path: "worked"}, l.signalbox},
	}
	var rows []*row
	for i := range all {
		r := &all[i].row
		if r.name == "rival" && l.rivalBinary == "" {
			continue
		}
		if only != "" && !slices.Contains(strings.Split(only, ","), r.name) {
			continue
		}
		r.key = l.key
		if err := all[i].start(ctx, r); err != nil {
			return nil, fmt.Errorf("starting %s: %w", r.name, err)
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("no row is named %q", only)
	}
	return rows, nil
}

func (l *lab) core() string {
	if l.pinned {
		return coreProxy
	}
	return ""
}

// run starts a program on the proxy's core.
func (l *lab) run(ctx context.Context, label, name string, args ...string) (*proc.Process, error) {
	p, err := proc.Start(ctx, proc.Params{Cores: l.core(), Log: filepath.Join(l.out, label+".log"), Env: environment}, name, args...)
	if err == nil {
		l.processes = append(l.processes, p)
	}
	return p, err
}

// output runs the program to its end, and returns what it prints.
func (l *lab) output(ctx context.Context, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, l.binary, args...)
	c.Env = append(os.Environ(), environment...)
	out, err := c.Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, e.Stderr)
	}
	return out, err
}

// bare starts an Envoy that only forwards.
func (l *lab) bare(ctx context.Context, r *row) error {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	r.addr = "127.0.0.1:" + port
	_, upstream, _ := net.SplitHostPort(l.upstream.Address())
	file := filepath.Join(l.dir, "bare.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, bareConfig, port, upstream), 0o600); err != nil {
		return err
	}
	if r.envoy, err = l.run(ctx, "bare-envoy", l.envoy, envoyArgs(file)...); err != nil {
		return err
	}
	return l.await(ctx, r, r.envoy)
}

// signalbox starts a service and an Envoy that takes its configuration from it.
func (l *lab) signalbox(ctx context.Context, r *row) error {
	file, err := l.configure(ctx, r)
	if err != nil {
		return err
	}
	bootstrap, err := l.output(ctx, "envoy", "bootstrap", "--config", file)
	if err != nil {
		return fmt.Errorf("printing the bootstrap: %w", err)
	}
	boot := filepath.Join(l.dir, r.name+"-bootstrap.yaml")
	if err := os.WriteFile(boot, bootstrap, 0o600); err != nil {
		return err
	}
	began := time.Now()
	if r.service, err = l.run(ctx, r.name+"-service", l.binary, "serve", "--config", file); err != nil {
		return err
	}
	if r.envoy, err = l.run(ctx, r.name+"-envoy", l.envoy, envoyArgs(boot)...); err != nil {
		return err
	}
	err = l.await(ctx, r, r.envoy, r.service)
	r.ready = time.Since(began)
	return err
}

func envoyArgs(file string) []string {
	return []string{"-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "warning"}
}

// configure writes a configuration of its own for a row, and gives the row its address.
func (l *lab) configure(ctx context.Context, r *row) (string, error) {
	port, err := freePort(ctx)
	if err != nil {
		return "", err
	}
	if r.admin, err = freePort(ctx); err != nil {
		return "", err
	}
	r.addr, r.admin = "127.0.0.1:"+port, "127.0.0.1:"+r.admin
	dir := filepath.Join(l.dir, r.name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "signalbox.yaml")
	s := r.setting
	text := fmt.Appendf(nil, signalboxConfig, r.addr, r.admin, dir, l.upstream.Address(), cmp.Or(s.reads, "tail"), fmt.Sprintf(cmp.Or(s.keeps, kept), dir, auth.HashKey(l.key)), cmp.Or(s.routes, routes))
	return file, os.WriteFile(file, text, 0o600)
}

// await waits until the row answers a request of its kind, and checks that it went the path it is named after.
func (l *lab) await(ctx context.Context, r *row, ps ...*proc.Process) error {
	var err error
	for end := time.Now().Add(startup); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, p := range ps {
			if gone := p.Ended(); gone != nil {
				return gone
			}
		}
		if err = r.try(ctx); err == nil {
			return r.checkPath(ctx)
		}
	}
	return err
}

// freePort returns a loopback port that was free a moment ago.
func freePort(ctx context.Context) (string, error) {
	a, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(a.Addr().String())
	return port, errors.Join(err, a.Close())
}

// rival starts Envoy AI Gateway's processor and an Envoy that is configured as its controller would.
func (l *lab) rival(ctx context.Context, r *row) error {
	config, socket := filepath.Join(l.dir, "rival-config.yaml"), filepath.Join(l.dir, "r.sock")
	if err := os.WriteFile(config, []byte(rivalConfig), 0o600); err != nil {
		return err
	}
	admin, err := freePort(ctx)
	if err != nil {
		return err
	}
	if r.service, err = l.run(ctx, "rival-service", l.rivalBinary, "-configPath", config, "-extProcAddr", "unix://"+socket, "-adminPort", admin); err != nil {
		return err
	}
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	r.addr = "127.0.0.1:" + port
	_, upstream, _ := net.SplitHostPort(l.upstream.Address())
	var backends []string
	for i := range 3 {
		backends = append(backends, fmt.Sprintf(rivalBackend, upstream, i))
	}
	file := filepath.Join(l.dir, "rival.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, rivalEnvoy, port, socket, strings.Join(backends, ", ")), 0o600); err != nil {
		return err
	}
	if r.envoy, err = l.run(ctx, "rival-envoy", l.envoy, envoyArgs(file)...); err != nil {
		return err
	}
	return l.await(ctx, r, r.envoy, r.service)
}
