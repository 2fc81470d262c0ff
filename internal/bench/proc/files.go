package proc

import (
	"fmt"
	"syscall"
)

// Files lets this process, and those that it starts from now on, have n files open at once.
func Files(n int) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	want := syscall.Rlimit{Cur: max(now.Cur, uint64(n)), Max: max(now.Max, uint64(n))}
	// Also where nothing is raised: Go gives what it starts the limit of before its own start unless somebody has set one.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want); err != nil {
		return fmt.Errorf("%d files must be open at once, and no more than %d may be: raise the hard limit (ulimit -Hn, as root): %w", n, now.Max, err)
	}
	return nil
}
