package mapped

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

func forget() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("finding the program: %w", err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("reading what is mapped: %w", err)
	}
	var errs []error
	for _, p := range clean(smaps, program) {
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, p.from, p.to-p.from, syscall.MADV_DONTNEED); errno != 0 {
			errs = append(errs, fmt.Errorf("giving back pages of the program: %w", errno))
		}
	}
	return errors.Join(errs...)
}

// part is a part of memory.
type part struct{ from, to uintptr }

// clean reads proc_pid_smaps(5) and returns the parts that the program's file alone makes: they cannot be written, and no page
// of them has been, as relocation and debuggers do. What is written would be lost.
func clean(smaps []byte, program string) (all []part) {
	var at part
	var ours bool
	for b := range bytes.Lines(smaps) {
		line := strings.TrimSpace(string(b))
		name, value, _ := strings.Cut(line, ":")
		if p, ok := head(line, program); ok {
			at, ours = p, true
		} else if !strings.HasSuffix(line, " kB") && strings.Contains(name, "-") {
			ours = false
		}
		if ours && name == "Anonymous" && strings.TrimSpace(value) == "0 kB" {
			all = append(all, at)
		}
	}
	return all
}

// head reads the line that begins a part, and reports whether it is the program's and cannot be written.
func head(line, program string) (p part, ok bool) {
	f := strings.SplitN(line, " ", 6) // addresses, permissions, offset, device, inode, path
	if len(f) < 6 || strings.TrimLeft(f[5], " ") != program || f[1] != "r--p" && f[1] != "r-xp" {
		return p, false
	}
	from, to, _ := strings.Cut(f[0], "-")
	a, err := strconv.ParseUint(from, 16, 64)
	z, err2 := strconv.ParseUint(to, 16, 64)
	return part{uintptr(a), uintptr(z)}, err == nil && err2 == nil
}
