package grpcwire

import (
	"io"
	"net"
	"syscall"
	"unsafe"
)

// socket reads and writes a connection by system calls of which Go's scheduler is not told. They never block,
// since the descriptor does not, and then telling costs more than the call: each first call after a sleep wakes the
// runtime's monitor, which looks around fifty times before it sleeps again. On a stream whose chunks come one by
// one that was half of the service's time.
//
// What the monitor would do, to take the processor from a goroutine that always finds something to read, the
// reader does itself: see conn.fill.
type socket struct {
	raw      syscall.RawConn
	in, out  []byte
	n        int
	inErr    error
	outErr   error
	doRead   func(fd uintptr) bool
	doWrite  func(fd uintptr) bool
	fallback io.ReadWriter // not nil: what is no plain socket, such as TLS
}

func newSocket(nc net.Conn) *socket {
	s := &socket{fallback: nc}
	if p, ok := nc.(syscall.Conn); ok {
		if raw, err := p.SyscallConn(); err == nil {
			s.raw, s.fallback = raw, nil
			s.doRead, s.doWrite = s.tryRead, s.tryWrite
		}
	}
	return s
}

// Read implements io.Reader. One goroutine reads at a time.
func (s *socket) Read(p []byte) (int, error) {
	if s.fallback != nil {
		return s.fallback.Read(p)
	}
	s.in, s.n, s.inErr = p, 0, nil
	err := s.raw.Read(s.doRead)
	s.in = nil
	switch {
	case err != nil:
		return 0, err
	case s.inErr != nil:
		return 0, s.inErr
	case s.n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// Write implements io.Writer. One goroutine writes at a time.
func (s *socket) Write(p []byte) (int, error) {
	if s.fallback != nil {
		return s.fallback.Write(p)
	}
	s.out, s.outErr = p, nil
	err := s.raw.Write(s.doWrite)
	left := len(s.out)
	s.out = nil
	if err == nil {
		err = s.outErr
	}
	return len(p) - left, err
}

// tryRead reads what is there. It returns false where nothing is.
func (s *socket) tryRead(fd uintptr) bool {
	n, errno := call(syscall.SYS_READ, fd, s.in)
	if errno == syscall.EAGAIN {
		return false
	}
	if errno != 0 {
		s.inErr = errno
	}
	s.n = n
	return true
}

// tryWrite writes all, or returns false where no more can be written now.
func (s *socket) tryWrite(fd uintptr) bool {
	for len(s.out) > 0 {
		n, errno := call(syscall.SYS_WRITE, fd, s.out)
		switch errno {
		case 0:
			s.out = s.out[n:]
		case syscall.EAGAIN:
			return false
		default:
			s.outErr = errno
			return true
		}
	}
	return true
}

// call reads or writes b, which is not empty, and again after a signal.
func call(trap, fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // the kernel is done with b when the call returns
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), 0
	}
}
