//go:build !noclaude

package claude

import (
	"runtime"
	"syscall"
	"testing"
	"time"
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

func worked() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
