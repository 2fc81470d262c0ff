//go:build !noclaude

package claude

import (
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

func TestTimeIsLinearInTheLength(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := open(t, "claude-3")
	for name, piece := range adversarial {
		// As many bytes in ten counts as in one. Quadratic time would be ten times as long for the one.
		small, large := fill(60<<10, piece), fill(600<<10, piece)
		var a, b time.Duration
		for range 4 {
			for range 10 {
				a += took(f, small)
			}
			b += took(f, large)
		}
		if b > 3*a+20*time.Millisecond {
			t.Errorf("%s: %v for ten times 60 KB, %v for 600 KB", name, a, b)
		}
	}
}

// took is the time that this thread worked for one count.
func took(f *Family, text []byte) time.Duration {
	start := worked()
	f.Count(text)
	return worked() - start
}

// worked reads the thread's own clock. What getrusage(2) says is brought up to date at the scheduler's ticks, every 4 ms, which may
// all fall into the longer of two counts.
func worked() time.Duration {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID, clock_gettime(2)
	var now syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
		panic(errno)
	}
	return time.Duration(now.Nano())
}
