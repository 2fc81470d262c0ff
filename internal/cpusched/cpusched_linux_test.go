package cpusched

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// policies returns the policy of each thread of a process.
func policies(t *testing.T, pid int) map[int]uintptr {
	t.Helper()
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]uintptr{}
	for _, e := range tasks {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if p, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETSCHEDULER, uintptr(tid), 0, 0); errno == 0 {
			out[tid] = p
		}
	}
	return out
}

// TestAllThreadsAreBatch takes turns in one process, as what is set cannot be undone for it but by the test itself.
func TestAllThreadsAreBatch(t *testing.T) {
	if p := policies(t, os.Getpid())[os.Getpid()]; p != other {
		t.Skipf("the test runs under the policy %d", p)
	}
	if err := Batch(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Normal(os.Getpid()); err != nil {
			t.Error(err)
		}
		for tid, p := range policies(t, os.Getpid()) {
			if p != other {
				t.Errorf("thread %d has the policy %d after the test", tid, p)
			}
		}
	})
	// Threads that are made later have it from those that make them.
	stop := make(chan struct{})
	defer close(stop)
	before := len(policies(t, os.Getpid()))
	for range 8 {
		ready := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(ready)
			<-stop
		}()
		<-ready
	}
	all := policies(t, os.Getpid())
	if len(all) <= before {
		t.Fatalf("there are %d threads, as before", len(all))
	}
	for tid, p := range all {
		if p != batch {
			t.Errorf("thread %d has the policy %d", tid, p)
		}
	}

	child := exec.CommandContext(t.Context(), "sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	if p := policies(t, child.Process.Pid)[child.Process.Pid]; p != batch {
		t.Errorf("a child begins with the policy %d", p)
	}
	if err := Normal(child.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if p := policies(t, child.Process.Pid)[child.Process.Pid]; p != other {
		t.Errorf("a child has the policy %d", p)
	}
}

func TestAPolicyThatSomebodyChoseStays(t *testing.T) {
	const idle = 5 // SCHED_IDLE
	child := exec.CommandContext(t.Context(), "sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	if changed, err := change(child.Process.Pid, other, idle); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if err := set(child.Process.Pid, other, batch); err != nil {
		t.Fatal(err)
	}
	if p := policies(t, child.Process.Pid)[child.Process.Pid]; p != idle {
		t.Errorf("the child has the policy %d", p)
	}
}

func TestAThreadThatIsOverIsNoFailure(t *testing.T) {
	child := exec.CommandContext(t.Context(), "true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	if changed, err := change(child.Process.Pid, other, batch); err != nil || changed {
		t.Fatal(changed, err)
	}
}
