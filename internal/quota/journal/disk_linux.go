package journal

import (
	"os"
	"syscall"
)

// syncData brings a file's content to disk, and its length, but not its times.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return err
		}
	}
}
