package cpusched

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// Policies of sched_setscheduler(2).
const (
	other = 0 // SCHED_OTHER
	batch = 3 // SCHED_BATCH
)

// set changes the policy of all threads of a process, 0 for this one, from one to another. A thread begins with the policy of the thread that
// made it, so that only those must be looked for again that were made meanwhile.
func set(pid int, from, to uintptr) error {
	dir := "/proc/self/task"
	if pid != 0 {
		dir = "/proc/" + strconv.Itoa(pid) + "/task"
	}
	for again := true; again; {
		again = false
		tasks, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("reading the threads: %w", err)
		}
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				return fmt.Errorf("reading the threads: %w", err)
			}
			changed, err := change(tid, from, to)
			if err != nil {
				return fmt.Errorf("setting how a thread is scheduled: %w", err)
			}
			again = again || changed
		}
	}
	return nil
}

// change changes the policy of a thread that has the policy from. One that is over needs none.
func change(tid int, from, to uintptr) (bool, error) {
	now, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETSCHEDULER, uintptr(tid), 0, 0)
	if errno == 0 && now == from {
		// The priority is the only one that these policies have; how nice the thread is stays.
		_, _, errno = syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, uintptr(tid), to, uintptr(unsafe.Pointer(new(int32)))) //nolint:gosec // the kernel has read it when the call returns
		if errno == 0 {
			return true, nil
		}
	}
	if errno != 0 && !errors.Is(errno, syscall.ESRCH) {
		return false, errno
	}
	return false, nil
}
