// Package model checks the design of reservations, in quota.pml, in every order in which things can happen. It has
// no Go code but the test that runs SPIN; that the stores do what the model says, internal/quota/quotatest checks.
package model_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestModel runs the design, and mistakes that must be found: a mistake that is not is a hole in the model.
func TestModel(t *testing.T) {
	if os.Getenv("SIGNALBOX_QUOTA_LONG") != "1" {
		t.Skip("make test-quota runs it")
	}
	for _, program := range []string{"spin", "gcc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is absent (Debian package %s)", program, program)
		}
	}
	for _, c := range []struct {
		name  string
		loss  bool // the store forgets everything once
		mut   int
		holds bool
	}{
		{"the design", false, 0, true},
		{"a late truth is added to the charge of expiry", false, 1, false},
		{"expiry gives the reservation back", false, 2, false},
		{"a repeated reservation reserves again", false, 3, false},
		{"the inner budget is not looked at", false, 4, false},
		{"the design, with a loss of memory", true, 0, true},
		{"counters begin at zero after a loss", true, 5, false},
		{"open reservations come back after the doors are open", true, 6, false},
		{"a missing key is an unused budget", true, 7, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := check(t, c.loss, c.mut)
			if got := strings.Contains(out, "errors: 0"); got != c.holds || !got && !strings.Contains(out, "assertion violated") {
				t.Errorf("the model holds: %v, want %v\n%s", got, c.holds, out)
			}
			for line := range strings.Lines(out) {
				if strings.Contains(line, "states, stored") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

// check builds and runs the verifier, and returns what it says.
func check(t *testing.T, loss bool, mut int) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile("quota.pml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "quota.pml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"-a", fmt.Sprintf("-DMUT=%d", mut)}
	if loss {
		flags = append(flags, "-DLOSS")
	}
	out := ""
	for _, cmd := range [][]string{
		append(append([]string{"spin"}, flags...), "quota.pml"),
		{"gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"},
		{"./pan", "-m200000"},
	} {
		c := exec.Command(cmd[0], cmd[1:]...)
		c.Dir = dir
		b, err := c.CombinedOutput()
		if out = string(b); err != nil {
			t.Fatalf("%s: %v\n%s", cmd[0], err, out)
		}
	}
	if strings.Contains(out, "max search depth too small") {
		t.Fatalf("the search was cut off\n%s", out)
	}
	return out
}
