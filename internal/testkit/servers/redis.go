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
	port := freePort(t)
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

// Restart is Start with other arguments.
func (r *Redis) Restart(args ...string) {
	r.t.Helper()
	r.args = args
	r.Start()
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

// Do sends a command and returns the answer, of a list its raw form; a test's own errands, not a client.
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
	line, rest, _ := strings.Cut(string(answer[:n]), "\r\n")
	switch {
	case strings.HasPrefix(line, "-"):
		return "", fmt.Errorf("redis: %s", line[1:])
	case strings.HasPrefix(line, "*"):
		return string(answer[:n]), nil
	case strings.HasPrefix(line, "$"):
		return strings.TrimSuffix(rest, "\r\n"), nil
	}
	return line[1:], nil
}

// must is Do that must succeed.
func (r *Redis) must(args ...string) string {
	r.t.Helper()
	out, err := r.Do(args...)
	if err != nil {
		r.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return out
}

// StartRedisCluster starts a Redis Cluster with so many masters, each with so many replicas. The masters come first.
func StartRedisCluster(t testing.TB, masters, replicas int) []*Redis {
	t.Helper()
	bin := program(t, "redis-server", "redis-server")
	var all []*Redis
	for range masters * (1 + replicas) {
		port := freePort(t) // the bus has this port and 10,000 more
		r := &Redis{t: t, bin: bin, Addr: "127.0.0.1:" + strconv.Itoa(port), Port: port, Dir: t.TempDir(),
			args: []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0"}}
		r.Start()
		t.Cleanup(r.Kill)
		all = append(all, r)
	}
	for i, r := range all[:masters] {
		r.must("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*16384/masters), strconv.Itoa((i+1)*16384/masters-1))
	}
	for _, r := range all[1:] {
		r.must("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(all[0].Port))
	}
	wait(t, "the cluster's nodes to meet", func() bool {
		for _, r := range all {
			if !strings.Contains(r.must("CLUSTER", "INFO"), "cluster_known_nodes:"+strconv.Itoa(len(all))) {
				return false
			}
		}
		return true
	})
	for i, r := range all[masters:] {
		id := all[i%masters].must("CLUSTER", "MYID")
		wait(t, "a replica to be taken", func() bool { _, err := r.Do("CLUSTER", "REPLICATE", id); return err == nil })
	}
	wait(t, "the cluster", func() bool {
		for _, r := range all {
			if !strings.Contains(r.must("CLUSTER", "INFO"), "cluster_state:ok") {
				return false
			}
		}
		for _, r := range all[masters:] {
			if !strings.Contains(r.must("INFO", "replication"), "master_link_status:up") {
				return false
			}
		}
		return true
	})
	return all
}

// StartRedisSentinel starts a Redis with a replica and a Sentinel that watches over them under a name, and fails over
// after a second.
func StartRedisSentinel(t testing.TB, name string) (master, replica, sentinel *Redis) {
	t.Helper()
	master = StartRedis(t)
	replica = StartRedis(t, "--replicaof", "127.0.0.1", strconv.Itoa(master.Port))
	port := freePort(t)
	sentinel = &Redis{t: t, Addr: "127.0.0.1:" + strconv.Itoa(port), Port: port, Dir: t.TempDir()}
	file := filepath.Join(sentinel.Dir, "sentinel.conf")
	conf := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %d 1\nsentinel down-after-milliseconds %s 1000\nsentinel failover-timeout %s 3000\n",
		port, sentinel.Dir, name, master.Port, name, name)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel.launch(program(t, "redis-server", "redis-server"), []string{file, "--sentinel"}, "+monitor master")
	t.Cleanup(sentinel.Kill)
	wait(t, "the Sentinel to find the replica", func() bool {
		return strings.Contains(sentinel.must("SENTINEL", "REPLICAS", name), strconv.Itoa(replica.Port)) &&
			strings.Contains(replica.must("INFO", "replication"), "master_link_status:up")
	})
	return master, replica, sentinel
}

// wait waits for what takes a moment.
func wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}
