package binary

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/cpusched"
)

// Child says how to run an Envoy.
type Child struct {
	Path        string // of the program
	Bootstrap   []byte
	Dir         string // private folder for the bootstrap; made with mode 0700
	Admin       string // as in the bootstrap
	Concurrency int    // worker threads; 0: one for each CPU
	LogLevel    string // of Envoy; default "warning"
	Grace       time.Duration
	Log         *slog.Logger
	Ended       func() // called when a process of it has ended, before another is started; nil: nobody asks
}

const (
	defaultGrace = 10 * time.Second // between SIGTERM and SIGKILL
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
	steady       = 30 * time.Second // a child that ran so long starts over with the first pause
	drainTime    = time.Hour        // for streams on a listener that has changed; new requests never meet it
)

// Process is a running Envoy. It is started again whenever it ends by itself.
type Process struct {
	*Admin
	c    Child
	file string
	stop context.CancelFunc
	done chan struct{}

	mu   sync.Mutex
	pid  int
	last error // why it ended last
}

// Start writes the bootstrap and starts Envoy. It returns an error when that cannot be done; an Envoy that
// ends later is started again, with a growing pause. The process lives until Stop is called or ctx ends.
func Start(ctx context.Context, c Child) (*Process, error) {
	if c.LogLevel == "" {
		c.LogLevel = "warning"
	}
	if c.Grace <= 0 {
		c.Grace = defaultGrace
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	file, err := writeBootstrap(c.Dir, c.Bootstrap)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	p := &Process{Admin: NewAdmin(c.Admin), c: c, file: file, stop: stop, done: make(chan struct{})}
	cmd, drained, err := p.start(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	go p.supervise(ctx, cmd, drained)
	return p, nil
}

func writeBootstrap(dir string, b []byte) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making Envoy's folder: %w", err)
	}
	file := filepath.Join(dir, "bootstrap.yaml")
	if err := os.WriteFile(file+".new", b, 0o600); err != nil {
		return "", fmt.Errorf("writing Envoy's bootstrap: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return "", fmt.Errorf("writing Envoy's bootstrap: %w", err)
	}
	return file, nil
}

// Pid returns the process id, or 0 while there is no process.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid
}

// Last returns why Envoy ended last, or nil if it never did.
func (p *Process) Last() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// Stop ends Envoy, with SIGKILL if SIGTERM does not do it within the grace, and waits.
func (p *Process) Stop() {
	p.stop()
	<-p.done
}

// Done is closed when Envoy has been stopped for good.
func (p *Process) Done() <-chan struct{} { return p.done }

// Await waits until Envoy is ready.
func (p *Process) Await(ctx context.Context) error {
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for {
		err := p.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-t.C:
		case <-p.done:
			return errors.Join(errors.New("Envoy was stopped"), p.Last())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waiting for Envoy: %w", ctx.Err()), err, p.Last())
		}
	}
}

func (p *Process) args() []string {
	a := []string{"-c", p.file, "--disable-hot-restart", "--log-level", p.c.LogLevel,
		"--log-format", logFormat, "--drain-time-s", strconv.Itoa(int(drainTime.Seconds())), "--drain-strategy", "immediate"}
	if p.c.Concurrency > 0 {
		a = append(a, "--concurrency", strconv.Itoa(p.c.Concurrency))
	}
	return a
}

// start starts the program. drained is closed when all it wrote has been passed on.
func (p *Process) start(ctx context.Context) (cmd *exec.Cmd, drained chan struct{}, err error) {
	cmd = exec.CommandContext(ctx, p.c.Path, p.args()...)
	cmd.Cancel = func() error { return terminate(cmd.Process) }
	cmd.WaitDelay = p.c.Grace
	cmd.SysProcAttr = dieWithParent()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("starting Envoy: %w", err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	_ = w.Close() // the child has its own
	if err != nil {
		_ = r.Close()
		return nil, nil, fmt.Errorf("starting Envoy: %w", err)
	}
	if err := cpusched.Normal(cmd.Process.Pid); err != nil { // it works all the same
		p.c.Log.Debug("Envoy is scheduled as the service is", "error", err)
	}
	drained = make(chan struct{})
	go func() {
		defer close(drained)
		forward(r, p.c.Log)
	}()
	p.mu.Lock()
	p.pid = cmd.Process.Pid
	p.mu.Unlock()
	return cmd, drained, nil
}

func (p *Process) supervise(ctx context.Context, cmd *exec.Cmd, drained chan struct{}) {
	defer close(p.done)
	defer p.stop()
	pause := firstPause
	for {
		began := time.Now()
		var err error
		if cmd != nil {
			err = cmd.Wait()
			<-drained
		}
		p.ended(err)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > steady {
			pause = firstPause
		}
		p.c.Log.Error("Envoy ended and is started again", "why", p.Last(), "pause", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
		if cmd, drained, err = p.start(ctx); err != nil {
			cmd = nil
			p.c.Log.Error("Envoy cannot be started", "error", err)
		}
	}
}

func (p *Process) ended(err error) {
	if err == nil {
		err = errors.New("it ended by itself")
	}
	p.mu.Lock()
	p.pid, p.last = 0, err
	p.mu.Unlock()
	if p.c.Ended != nil {
		p.c.Ended()
	}
}

// logFormat makes Envoy's lines easy to take apart: level, logger, text.
const logFormat = "%l|%n|%v"

// forward passes Envoy's lines on until the pipe ends.
func forward(r io.ReadCloser, log *slog.Logger) {
	defer r.Close()
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			logLine(log, line)
		}
		if err != nil {
			return
		}
	}
}
