package outlet

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// File appends to a file, or writes to a pipe, as /dev/stdout may be one. A file that was moved away is made anew, so that it
// may be rotated. What Send has returned for is on the disk.
type File struct {
	Path   string
	Format string

	f       *os.File // nil: none is open
	regular bool
	end     int64  // of the file, behind the last whole record
	rest    []byte // of a record that a pipe took a part of: it is due before anything else
}

var _ Sink = (*File)(nil)

// Send implements Sink.
func (s *File) Send(ctx context.Context, records []*ledger.Record) (Sent, error) {
	b, ends, err := encode(s.Format, records)
	if err != nil {
		return Sent{}, err
	}
	if err := s.open(); err != nil {
		return Sent{}, &Away{Err: fmt.Errorf("the file: %w", err)}
	}
	if deadline, ok := ctx.Deadline(); ok && !s.regular {
		_ = s.f.SetWriteDeadline(deadline) // a device may know none
	}
	write := s.pipe
	if s.regular {
		write = s.append
	}
	n, err := write(b, ends)
	if n == 0 {
		return Sent{}, &Away{Err: fmt.Errorf("the file: %w", err)}
	}
	return Sent{Settled: n}, nil
}

// append writes to a file, all or nothing. It returns how many records are there.
func (s *File) append(b []byte, ends []int) (int, error) {
	_, err := s.f.Write(b)
	if err == nil {
		err = s.f.Sync()
	}
	if err != nil {
		return 0, errors.Join(err, s.f.Truncate(s.end), s.Close())
	}
	s.end += int64(len(b))
	return len(ends), nil
}

// pipe writes to what may take a part. It returns how many records are there whole; what is left of the one behind them comes
// first the next time, and then that one again.
func (s *File) pipe(b []byte, ends []int) (int, error) {
	if n, err := s.f.Write(s.rest); err != nil {
		s.rest = s.rest[n:]
		return 0, s.lost(err)
	}
	s.rest = nil
	n, err := s.f.Write(b)
	if err == nil {
		return len(ends), nil
	}
	i, exact := slices.BinarySearch(ends, n)
	if exact {
		i++
	} else if n > 0 && (i == 0 || n > ends[i-1]) {
		s.rest = b[n:ends[i]]
	}
	return i, s.lost(err)
}

// lost closes a pipe whose reader has gone: what a new one reads begins with a whole record.
func (s *File) lost(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		s.rest = nil
		return errors.Join(err, s.Close())
	}
	return err
}

// open opens the file, where it is not open or is another one by now.
func (s *File) open() error {
	if s.f != nil && s.regular {
		there, err := os.Stat(s.Path)
		if own, bad := s.f.Stat(); err != nil || bad != nil || !os.SameFile(there, own) || own.Size() != s.end {
			_ = s.Close()
		}
	}
	if s.f != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.Path), 0o750); err != nil {
		return err
	}
	flags := os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NONBLOCK // a pipe that nobody reads is an error, and not a wait
	if st, err := os.Stat(s.Path); err != nil || st.Mode().IsRegular() {
		flags = os.O_RDWR | os.O_APPEND | os.O_CREATE
	}
	f, err := os.OpenFile(s.Path, flags, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && st.Mode().IsRegular() {
		s.regular = true
		s.end, err = mend(f, s.Format)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.f = f
	return nil
}

// Close implements Sink.
func (s *File) Close() error {
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	s.f, s.regular, s.rest = nil, false, nil
	return err
}

// mend cuts off a record that a crash left without its end, and returns where the file ends.
func mend(f *os.File, format string) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return end, err
	}
	var good int64
	if format == Protobuf {
		good, err = frames(f)
	} else {
		good, err = lines(f, end)
	}
	if err != nil || good == end {
		return good, err
	}
	return good, f.Truncate(good)
}

// lines returns where the last line ends.
func lines(f *os.File, end int64) (int64, error) {
	b := make([]byte, 64<<10)
	for end > 0 {
		n := min(int64(len(b)), end)
		if _, err := f.ReadAt(b[:n], end-n); err != nil {
			return 0, err
		}
		for i := n - 1; i >= 0; i-- {
			if b[i] == '\n' {
				return end - n + i + 1, nil
			}
		}
		end -= n
	}
	return 0, nil
}

// frames returns where the last whole frame ends.
func frames(f *os.File) (good int64, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		size, err := binary.ReadUvarint(r)
		if err != nil || size > 1<<30 {
			break
		}
		if n, err := io.CopyN(io.Discard, r, int64(size)); err != nil || n < int64(size) {
			break
		}
		good += int64(len(binary.AppendUvarint(nil, size))) + int64(size)
	}
	_, err = f.Seek(0, io.SeekEnd)
	return good, err
}
