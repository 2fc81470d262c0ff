// Package proc runs the programs that are measured, and reads what they take of the machine from the kernel. What their figures
// mean is for its callers.
package proc

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a child that is measured. A nil one takes nothing.
type Process struct {
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
}

// Params say how a program is started.
type Params struct {
	Cores string   // as taskset takes them; "": any
	Log   string   // file of its output
	Env   []string // beside that of this process
}

// Start starts a program. It ends when this process does.
func Start(ctx context.Context, s Params, name string, args ...string) (*Process, error) {
	f, err := os.Create(s.Log)
	if err != nil {
		return nil, err
	}
	if s.Cores != "" {
		args = append([]string{"-c", s.Cores, name}, args...)
		name = "taskset"
	}
	p := &Process{cmd: exec.CommandContext(ctx, name, args...), log: f, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = f, f
	p.cmd.Env = append(os.Environ(), s.Env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		f.Close()
		return nil, err
	}
	go func() { // ends with the child
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Stop ends the process and waits for it.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	p.log.Close()
}

// Ended returns an error once the process is gone.
func (p *Process) Ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %s, see %s", p.cmd.Path, p.cmd.ProcessState, p.log.Name())
	default:
		return nil
	}
}

func (p *Process) path(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), name)
}

// CPU returns how long the threads of the process have run, exactly; 0 for none.
func (p *Process) CPU() (t time.Duration) {
	if p == nil {
		return 0
	}
	files, _ := filepath.Glob(p.path("task/*/schedstat"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread is gone
		}
		ran, _, _ := strings.Cut(string(b), " ")
		n, _ := strconv.ParseInt(ran, 10, 64)
		t += time.Duration(n)
	}
	return t
}

// RSS returns the resident memory in bytes; 0 for none.
func (p *Process) RSS() int64 {
	if p == nil {
		return 0
	}
	b, err := os.ReadFile(p.path("status"))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(b, []byte("VmRSS:"))
	if f := bytes.Fields(rest); len(f) > 0 {
		n, _ := strconv.ParseInt(string(f[0]), 10, 64)
		return n << 10
	}
	return 0
}

// Busy returns how long all cores have worked, for anybody, in units of the kernel's clock.
func Busy() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var t int64
	for i, f := range strings.Fields(line) {
		if i == 1 || i == 2 || i == 3 || i == 6 || i == 7 { // user, nice, system, interrupts
			n, _ := strconv.ParseInt(f, 10, 64)
			t += n
		}
	}
	return time.Duration(t) * 10 * time.Millisecond
}

// Own returns the CPU time of this process.
func Own() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
