// Package servers starts real database servers for tests, each on a free port of loopback with its data in a
// folder of the test. It downloads nothing: where a server cannot be run, the test is skipped, or fails if
// SIGNALBOX_REQUIRE_SERVERS is 1.
package servers

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
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

// freePort returns a port that nobody listens on, with room above it for programs that add to it.
func freePort(t testing.TB) int {
	t.Helper()
	port, err := strconv.Atoi(stack.FreePort(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}
