// Package servers starts real database servers for tests, each on a free port of loopback with its data in a
// folder of the test. It downloads nothing: where a server cannot be run, the test is skipped, or fails if
// SIGNALBOX_REQUIRE_SERVERS is 1.
package servers

import (
	"net"
	"os"
	"os/exec"
	"testing"
)

// EnvRequire is the variable that, being "1", turns skips into failures.
const EnvRequire = "SIGNALBOX_REQUIRE_SERVERS"

// program finds a server's binary.
func program(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	absent(t, name+" is absent (Debian package "+debian+")")
	return ""
}

// absent ends a test that has no server, for a reason.
func absent(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(EnvRequire) == "1" {
		t.Fatalf("%s, and %s=1 asks for it", why, EnvRequire)
	}
	t.Skip(why)
}

// freePort returns a port that nobody listens on. below bounds it, for programs that add to it; 0: no bound.
func freePort(t testing.TB, below int) int {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if below == 0 || port < below {
			return port
		}
	}
	t.Fatal("no free port was found")
	return 0
}
