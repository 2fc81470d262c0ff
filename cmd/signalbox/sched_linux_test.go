package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTheServiceDoesNotTakeTheProcessorFromEnvoy looks at all threads of "signalbox up" and of its Envoy.
func TestTheServiceDoesNotTakeTheProcessorFromEnvoy(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	must(t, os.WriteFile(filepath.Join(p.dir, "signalbox.yaml"), []byte(p.ports(mockOnly)), 0o600))
	service := p.serve(t)
	children, err := filepath.Glob("/proc/" + strconv.Itoa(service.Pid()) + "/task/*/children")
	must(t, err)
	var envoy int
	for _, file := range children {
		b, err := os.ReadFile(file)
		must(t, err)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			envoy = pid
		}
	}
	const other, batch = "0", "3" // sched(7)
	for pid, want := range map[int]string{service.Pid(): batch, envoy: other} {
		threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
		must(t, err)
		if len(threads) < 2 {
			t.Errorf("process %d has %d threads", pid, len(threads))
		}
		for _, file := range threads {
			b, err := os.ReadFile(file)
			must(t, err)
			const policy = 41 - 3 // proc_pid_stat(5), counted from behind the name
			_, rest, _ := strings.Cut(string(b), ") ")
			if got := strings.Fields(rest)[policy]; got != want {
				t.Errorf("%s: the policy is %s, not %s", file, got, want)
			}
		}
	}
}
