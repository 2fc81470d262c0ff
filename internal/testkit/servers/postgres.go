package servers

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Postgres is a running PostgreSQL. It takes connections on loopback from the user postgres without a password.
type Postgres struct {
	Port int
	Dir  string // its data

	t    testing.TB
	bin  string
	as   *syscall.Credential
	cmd  *exec.Cmd
	made atomic.Int64
}

// StartPostgres makes a cluster and starts it, with settings as "name=value". It is stopped when the test ends.
// PostgreSQL refuses to run as root: the tests of root run it as the user postgres, or nobody.
func StartPostgres(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	bin := postgresFolder(t)
	dir, err := os.MkdirTemp("", "pg") // not the test's own folder, which no other user may enter
	if err != nil {
		t.Fatal(err)
	}
	p := &Postgres{t: t, bin: bin, Port: freePort(t), Dir: dir, as: unprivileged(t)}
	t.Cleanup(func() {
		p.Kill()
		_ = os.RemoveAll(dir)
	})
	if p.as != nil {
		if err := os.Chown(dir, int(p.as.Uid), int(p.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := p.command("initdb", "-D", dir, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	conf := []string{"listen_addresses='127.0.0.1'", "port=" + strconv.Itoa(p.Port), "unix_socket_directories=''", "fsync=off", "max_connections=100", "shared_buffers=32MB"}
	conf = append(conf, settings...)
	f, err := os.OpenFile(filepath.Join(dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("\n" + strings.Join(conf, "\n") + "\n")
	if cerr := f.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	p.Start()
	return p
}

// postgresFolder finds the folder of the programs: that of initdb in PATH, or Debian's newest.
func postgresFolder(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	return filepath.Dir(program(t, "initdb", "postgresql"))
}

// unprivileged returns whom a test of root runs the server as; nil: as itself.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uerr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gerr := strconv.ParseUint(u.Gid, 10, 32)
		if uerr == nil && gerr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	absent(t, "PostgreSQL does not run as root, and there is no user postgres or nobody")
	return nil
}

func (p *Postgres) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(p.bin, name), args...)
	c.Dir = p.Dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: p.as, Pdeathsig: syscall.SIGQUIT} // at once, and with its children
	return c
}

// Start starts the server, or starts it again with what is in its folder, and waits until it takes connections.
func (p *Postgres) Start() {
	p.t.Helper()
	out, err := os.Create(filepath.Join(p.Dir, "log"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	p.cmd = p.command("postgres", "-D", p.Dir)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(out.Name())
		if strings.Contains(string(text), "ready to accept connections") {
			return
		}
	}
	text, _ := os.ReadFile(out.Name())
	p.Kill()
	p.t.Fatalf("postgres did not start:\n%s", text)
}

// Kill ends the server at once, as a crash does to those who are connected.
func (p *Postgres) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	_ = p.cmd.Wait()
	p.cmd = nil
}

// Pause stops the server's main process and its children where they are, and Resume lets them go on.
func (p *Postgres) Pause() { p.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *Postgres) Resume() { p.signal(syscall.SIGCONT) }

func (p *Postgres) signal(s syscall.Signal) {
	main := p.cmd.Process.Pid
	_ = syscall.Kill(main, s)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, ok := strings.Cut(string(text), ") ") // pid (name) state ppid …
		fields := strings.Fields(rest)
		if ok && len(fields) > 1 && fields[1] == strconv.Itoa(main) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				_ = syscall.Kill(pid, s)
			}
		}
	}
}

// URL returns the address of a database of the server.
func (p *Postgres) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", p.Port, database)
}

// Database makes an empty database and returns its address.
func (p *Postgres) Database() string {
	p.t.Helper()
	name := fmt.Sprintf("test%d", p.made.Add(1))
	p.Exec("postgres", "CREATE DATABASE "+name)
	return p.URL(name)
}

// Exec runs SQL in a database with the server's own client; a test's own errands.
func (p *Postgres) Exec(database, sql string) string {
	p.t.Helper()
	out, err := p.command("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", p.URL(database), "-c", sql).CombinedOutput()
	if err != nil {
		p.t.Fatalf("psql: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}
