package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/signal"
	"runtime/debug"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/mock"
	"github.com/signalbox-ai/signalbox/internal/replay"
	"github.com/signalbox-ai/signalbox/internal/slo/show"
)

type envoyCmd struct {
	Path      envoyPathCmd      `cmd:"" help:"Find Envoy, fetching it if it is nowhere, and print its path."`
	Bootstrap envoyBootstrapCmd `cmd:"" help:"Print the bootstrap by which an Envoy takes its configuration from signalbox serve."`
	Static    envoyStaticCmd    `cmd:"" help:"Print the whole configuration as one static file."`
}

type envoyPathCmd struct{}

// Run prints a path.
func (c *envoyPathCmd) Run(s streams) error {
	path, err := app.FindEnvoy(context.Background())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, path)
	return err
}

type envoyBootstrapCmd struct{ fromFile }

// Run prints the bootstrap.
func (c *envoyBootstrapCmd) Run(s streams) error {
	b, err := app.Bootstrap(c.path())
	if err == nil {
		_, err = s.out.Write(b)
	}
	return err
}

type envoyStaticCmd struct{ fromFile }

// Run prints the static form.
func (c *envoyStaticCmd) Run(s streams) error {
	b, err := app.Static(c.path())
	if err == nil {
		_, err = s.out.Write(b)
	}
	return err
}

type mockCmd struct {
	Addr string `default:"127.0.0.1:9101" help:"Where to listen; loopback only."`
	Name string `default:"mock" help:"The name that it answers with."`
	Seed uint64 `default:"1" help:"Seed of everything random."`
	List bool   `help:"List what it can be asked to do, and end."`
}

// Run serves the mock, or lists its behaviours.
func (c *mockCmd) Run(s streams) error {
	if c.List {
		w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
		for _, b := range mock.Behaviours() {
			fmt.Fprintf(w, "%s\t%s\n", b.Name+b.Args, b.What)
		}
		return w.Flush()
	}
	return serveHTTP(s, c.Addr, "mock provider", mock.New(mock.Options{Name: c.Name, Seed: c.Seed}))
}

type replayCmd struct {
	File string `arg:"" type:"existingfile" help:"Recorded exchanges: JSON lines, gzip or not."`
	Addr string `default:"127.0.0.1:9102" help:"Where to listen; loopback only."`
}

// Run serves recorded exchanges.
func (c *replayCmd) Run(s streams) error {
	records, err := replay.Load(c.File)
	if err != nil {
		return err
	}
	return serveHTTP(s, c.Addr, fmt.Sprintf("replay of %d exchanges", len(records)), replay.Handler(records, replay.Options{}))
}

// serveHTTP serves a test provider on loopback until the process is told to stop.
func serveHTTP(s streams, addr, what string, h http.Handler) error {
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || (ip == nil || !ip.IsLoopback()) && host != "localhost" {
		return fmt.Errorf("--addr %s: must be a loopback address with a port", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { // ends with the server
		<-ctx.Done()
		_ = srv.Close()
	}()
	fmt.Fprintf(s.out, "%s at http://%s\n", what, l.Addr())
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type versionCmd struct{}

// Run prints the version.
func (c *versionCmd) Run(s streams) error {
	_, err := fmt.Fprintln(s.out, "signalbox", version())
	return err
}

// release is set by the linker.
var release = "" //nolint:gochecknoglobals // the linker can set nothing else

// version returns the release, or what the Go tool knows.
func version() string {
	if release != "" {
		return release
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "devel"
}

type translateCmd struct {
	Batch bool `help:"Read many records, one a line, and write one result a line."`
}

// Run translates one record, or a batch of them.
func (c *translateCmd) Run(s streams) error {
	t := app.Translator()
	if c.Batch {
		return t.Batch(context.Background(), s.in, s.out)
	}
	one, err := io.ReadAll(s.in)
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	one = bytes.TrimSpace(one)
	if len(one) == 0 {
		return fmt.Errorf("no record on standard input")
	}
	b, err := t.One(context.Background(), one)
	if err == nil {
		_, err = s.out.Write(append(b, '\n'))
	}
	return err
}

// watchCmds say how the service does, and who is told.
type watchCmds struct {
	Alerts alertsCmd `cmd:"" help:"Test the channels of alerts."`
	SLO    sloCmd    `cmd:"" name:"slo" help:"Say how a running service keeps what is promised: objectives, error budgets, burn."`
}

// sloCmd asks a running service how its objectives stand.
type sloCmd struct {
	Server string `env:"SIGNALBOX_SERVICE" default:"http://127.0.0.1:9180" placeholder:"URL" help:"The admin address of the service, listen.admin (or $SIGNALBOX_SERVICE)."`
	JSON   bool   `name:"json" help:"Print the answer as JSON."`
}

// Run asks and prints.
func (c *sloCmd) Run(s streams) error {
	rows, text, err := show.Fetch(context.Background(), c.Server)
	if err != nil {
		return fmt.Errorf("--server: %w", err)
	}
	if c.JSON {
		_, err = s.out.Write(text)
		return err
	}
	return show.Table(s.out, rows)
}

// alertsCmd is for the channels of alerts.
type alertsCmd struct {
	Test alertsTestCmd `cmd:"" help:"Send a test to a channel of alerts."`
}

type alertsTestCmd struct {
	Name string `arg:"" optional:"" help:"The channel's name in the configuration; all of them, if not said."`
	fromFile
}

// Run sends a test and says what came of it.
func (c *alertsTestCmd) Run(s streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return app.TestAlert(ctx, c.path(), c.Name, func(name string, err error) {
		if err != nil {
			fmt.Fprintf(s.out, "%s: %v\n", name, err)
			return
		}
		fmt.Fprintf(s.out, "%s: taken\n", name)
	})
}
