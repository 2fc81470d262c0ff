package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/health/upkeep"
)

// fromFile is the flag of every command that reads a configuration.
type fromFile struct {
	Config string `short:"c" placeholder:"FILE" env:"SIGNALBOX_CONFIG" help:"Configuration file. Without one: signalbox.yaml here, or every provider whose key is in the environment, and the mock."`
}

// path returns the file to read; "" means none.
func (f *fromFile) path() string {
	if f.Config != "" {
		return f.Config
	}
	if _, err := os.Stat("signalbox.yaml"); err == nil {
		return "signalbox.yaml"
	}
	return ""
}

type upCmd struct{ fromFile }

// Run serves with an Envoy of its own.
func (c *upCmd) Run(s streams) error {
	a, err := app.New(context.Background(), app.Options{Path: c.path(), Errors: s.err, Version: version()})
	if err != nil {
		return err
	}
	a.WhenReady(func() { greet(s, a.Config()) })
	return a.Run(context.Background(), true)
}

type serveCmd struct{ fromFile }

// Run serves an Envoy that somebody else runs.
func (c *serveCmd) Run(s streams) error {
	a, err := app.New(context.Background(), app.Options{Path: c.path(), Errors: s.err, Version: version()})
	if err != nil {
		return err
	}
	return a.Run(context.Background(), false)
}

// programCmds are about the program itself.
type programCmds struct {
	Health  healthCmd  `cmd:"" help:"Show what a running program knows of its targets: breakers, success, latency, room of rate limits."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

type healthCmd struct {
	fromFile
	JSON bool `name:"json" help:"Write JSON, with all that is known."`
}

// Run asks the program at the configuration's admin address.
func (c *healthCmd) Run(s streams) error {
	cfg, err := app.Load(c.path())
	if err != nil {
		return err
	}
	network, address := cfg.Listen.Admin.Split()
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	defer t.CloseIdleConnections()
	res, err := (&http.Client{Transport: t, Timeout: apiTimeout}).Get("http://local/targets")
	if err != nil {
		return fmt.Errorf("no program answers at %s, the admin address of the configuration: %w", cfg.Listen.Admin, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	switch {
	case err != nil:
		return fmt.Errorf("reading what %s says: %w", cfg.Listen.Admin, err)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%s answers %s", cfg.Listen.Admin, res.Status)
	case c.JSON:
		_, err = s.out.Write(body)
		return err
	}
	return upkeep.WriteTable(s.out, body)
}

// greet says where it is and how to try it.
func greet(s streams, c *config.Config) {
	scheme, flags := "http", ""
	if c.Listen.TLS.On() {
		scheme, flags = "https", " --cacert AUTHORITIES.pem"
	}
	if c.Listen.TLS.ClientCA != "" {
		flags += " --cert CLIENT.pem"
	}
	if len(c.Keys) > 0 {
		flags += " -H \"Authorization: Bearer $KEY\""
	}
	base := scheme + "://" + reachable(c.Listen.HTTP)
	fmt.Fprintf(s.out, "\nSignalbox is ready at %s\nTry it:\n  curl %s/v1/chat/completions%s -H 'content-type: application/json' \\\n    -d '{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'\n\n", base, base, flags, example(c.Table().Models()))
}

// reachable returns where a client on this machine finds the listener.
func reachable(a config.Address) string {
	_, addr := a.Split()
	host, port, err := a.HostPort()
	if err == nil && host.IsUnspecified() {
		loopback := "127.0.0.1"
		if host.Is6() {
			loopback = "::1"
		}
		return net.JoinHostPort(loopback, strconv.Itoa(int(port)))
	}
	return addr
}

// example picks a model to try: the mock's echo costs nothing and always answers; many of the mock's others answer
// with an error, which is what they are for.
func example(models []string) string {
	const free = "mock/echo"
	if slices.Contains(models, free) {
		return free
	}
	for _, m := range models {
		if !strings.ContainsAny(m, "'\"\\") { // it is shown between quotes of the shell and of JSON
			return m
		}
	}
	return "MODEL"
}

type checkCmd struct {
	File string `arg:"" help:"The file to check."`
}

// Run reads a file as the service would, its secrets too.
func (c *checkCmd) Run(s streams) error {
	cfg, idle, err := app.Check(context.Background(), c.File, s.err)
	if err != nil {
		return err
	}
	fmt.Fprint(s.err, cfg.Warnings().Report()+idle.Report())
	fmt.Fprintf(s.out, "%s is valid: %d providers, %d routes, %d keys\n", c.File, len(cfg.Providers), len(cfg.Table().Routes()), len(cfg.Keys))
	return nil
}
