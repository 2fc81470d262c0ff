package servers

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is a running redis-server.
type Redis struct {
	Addr string // HOST:PORT
	Port int
	Dir  string // its data

	t    testing.TB
	bin  string
	args []string
	cmd  *exec.Cmd
}

// StartRedis starts a Redis that keeps nothing on disk, with more arguments as its command line takes them. It
// is stopped when the test ends.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	bin := program(t, "redis-server", "redis-server")
	port := freePort(t, 0)
	r := &Redis{t: t, bin: bin, Addr: "127.0.0.1:" + strconv.Itoa(port), Port: port, Dir: t.TempDir(), args: args}
	r.Start()
	t.Cleanup(r.Kill)
	return r
}

// Start starts the server, or starts it again on the same port with what is in its folder.
func (r *Redis) Start() {
	r.t.Helper()
	args := append([]string{"--port", strconv.Itoa(r.Port), "--bind", "127.0.0.1", "--dir", r.Dir, "--save", "", "--appendonly", "no", "--daemonize", "no"}, r.args...)
	r.launch(r.bin, args, "Ready to accept connections")
}

// launch runs a program until it says that it is ready.
func (r *Redis) launch(bin string, args []string, ready string) {
	r.t.Helper()
	out, err := os.CreateTemp(r.Dir, "log")
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	r.cmd = exec.Command(bin, args...)
	r.cmd.Stdout, r.cmd.Stderr = out, out
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		text, _ := os.ReadFile(out.Name())
		if strings.Contains(string(text), ready) {
			return
		}
	}
	text, _ := os.ReadFile(out.Name())
	r.Kill()
	r.t.Fatalf("%s did not start:\n%s", filepath.Base(bin), text)
}

// Kill ends the server at once (SIGKILL).
func (r *Redis) Kill() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// Pause stops the server's process where it is, and Resume lets it go on: it hangs meanwhile.
func (r *Redis) Pause() { _ = r.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (r *Redis) Resume() { _ = r.cmd.Process.Signal(syscall.SIGCONT) }

// Do sends a command and returns the first line of the answer; a test's own errands, not a client.
func (r *Redis) Do(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", r.Addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := c.Write(b.Bytes()); err != nil {
		return "", err
	}
	answer := make([]byte, 64<<10)
	n, err := c.Read(answer)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(answer[:n]), "\r\n")
	if strings.HasPrefix(line, "-") {
		return "", fmt.Errorf("redis: %s", line[1:])
	}
	return line, nil
}
