package grpcwire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// pair is a connection by a Unix socket.
func pair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if theirs, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if ours, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return ours, theirs
}

func TestASocketCarriesMoreThanItsBuffersHold(t *testing.T) {
	ours, theirs := pair(t)
	s, large := newSocket(ours), bytes.Repeat([]byte("0123456789"), 1<<20)
	go func() {
		if n, err := s.Write(large); n != len(large) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	}()
	got := make([]byte, len(large))
	if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, large) {
		t.Fatalf("other bytes arrive: %v", err)
	}
	go func() { _, _ = theirs.Write(large) }()
	clear(got)
	if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, large) {
		t.Fatalf("other bytes arrive: %v", err)
	}
}

func TestASocketThatIsClosed(t *testing.T) {
	ours, theirs := pair(t)
	s := newSocket(ours)
	_ = theirs.Close()
	if n, err := s.Read(make([]byte, 10)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the other side has closed: read %d, %v", n, err)
	}
	if _, err := s.Write(make([]byte, 10)); err == nil {
		t.Error("it can be written to")
	}

	ours, _ = pair(t)
	s = newSocket(ours)
	time.AfterFunc(10*time.Millisecond, func() { _ = ours.Close() })
	if _, err := s.Read(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed while it reads: %v", err)
	}
}
