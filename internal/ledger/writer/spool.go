package writer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// spool keeps records in files while the database is away. Only the writer's goroutine uses it.
//
// A segment is frames of a length and a CRC-32C (four bytes each, big-endian) and a record's JSON. Frames are
// appended and synced; what a crash left half-written at the end is cut off by the reader.
type spool struct {
	dir   string
	held  *os.File // the folder, locked; nil: there is none
	limit int64    // bytes of all segments
	size  int64
	out   *os.File // the newest segment; nil: none is open
	wrote int64    // bytes of out
	next  int      // number of the next segment
	segs  []segment
}

type segment struct {
	path   string
	size   int64
	before bool // it is of an earlier run
}

const (
	segmentBytes = 8 << 20
	head         = 8
	suffix       = ".ledger"
	maxFrame     = 16 << 20
)

var (
	errFull = errors.New("the spool is full")
	errNone = errors.New("there is no spool")
)

// openSpool opens a folder, made where it is missing, with what is left from before. "" is no spool, and keeps nothing.
func openSpool(dir string, limit int64) (_ *spool, err error) {
	s := &spool{dir: dir, limit: limit, next: 1}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("ledger spool: %w", err)
	}
	if s.held, err = hold(dir); err != nil {
		return nil, fmt.Errorf("ledger spool: %w", err)
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("ledger spool: %w", err)
	}
	var numbers []int
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), suffix); ok {
			if n, err := strconv.Atoi(name); err == nil && n > 0 {
				numbers = append(numbers, n)
			}
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		path := s.path(n)
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("ledger spool: %w", err)
		}
		s.segs = append(s.segs, segment{path, info.Size(), true})
		s.size += info.Size()
		s.next = n + 1
	}
	return s, nil
}

// hold locks the folder until its file is closed: two processes would take each other's segments away. A file system that knows no
// such locks has none.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK) {
		_ = f.Close()
		return nil, fmt.Errorf("%s is in use by another process", dir)
	}
	return f, nil
}

// release closes everything.
func (s *spool) release() {
	s.shut()
	if s.held != nil {
		_ = s.held.Close()
	}
}

func (s *spool) path(n int) string { return filepath.Join(s.dir, fmt.Sprintf("%08d", n)+suffix) }

func (s *spool) empty() bool { return len(s.segs) == 0 }

// add appends records and syncs them. It returns how many it kept: those from there on are over the limit, or the
// disk took no more, which err says. What it returns as kept is on the disk.
func (s *spool) add(records []*ledger.Record) (kept int, err error) {
	if s.dir == "" {
		return 0, errNone
	}
	var buf []byte
	room := s.limit - s.size
	for _, r := range records {
		data := r.Encode()
		if int64(len(buf)+head+len(data)) > room {
			break
		}
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(data)))
		buf = binary.BigEndian.AppendUint32(buf, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
		buf = append(buf, data...)
		kept++
	}
	if kept < len(records) {
		err = errFull
	}
	if kept == 0 {
		return 0, err
	}
	if werr := s.append(buf); werr != nil {
		return 0, werr
	}
	return kept, err
}

// append writes to the newest segment. After an error a new one begins, and what the disk took is cut off: the caller looks for
// another place for all of it, or counts it as lost. Where not even that can be done, whole frames are read, and nothing is written
// behind what may be half a frame.
func (s *spool) append(buf []byte) error {
	if s.out == nil || s.wrote >= segmentBytes {
		s.shut()
		path := s.path(s.next)
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("ledger spool: %w", err)
		}
		if err := s.held.Sync(); err != nil { // the file's name is to be there after a crash, too
			_, _ = f.Close(), os.Remove(path)
			return fmt.Errorf("ledger spool: %w", err)
		}
		s.next++
		s.out, s.wrote = f, 0
		s.segs = append(s.segs, segment{path: path})
	}
	n, err := s.out.Write(buf)
	if err == nil {
		err = s.out.Sync()
	}
	if err != nil && s.out.Truncate(s.wrote) == nil {
		n = 0
	}
	s.wrote += int64(n)
	s.size += int64(n)
	s.segs[len(s.segs)-1].size += int64(n)
	if err == nil {
		return nil
	}
	s.shut()
	if last := len(s.segs) - 1; s.segs[last].size == 0 && os.Remove(s.segs[last].path) == nil {
		s.segs = s.segs[:last]
	}
	return fmt.Errorf("ledger spool: %w", err)
}

func (s *spool) shut() {
	if s.out != nil {
		_ = s.out.Close() // its content was synced, or is known to be lost
		s.out = nil
	}
}

// content is what is in a segment.
type content struct {
	records []*ledger.Record
	unknown int   // whole frames with what is no record here, as a newer program may have written
	damaged int64 // bytes at its end, or behind a frame that is damaged
}

// oldest returns what is in the oldest segment.
func (s *spool) oldest() (c content, err error) {
	if len(s.segs) == 1 {
		s.shut() // what comes now goes into a segment of its own
	}
	f, err := os.Open(s.segs[0].path)
	if err != nil {
		return c, fmt.Errorf("ledger spool: %w", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	var at int64
	for {
		var h [head]byte
		if _, err := io.ReadFull(in, h[:]); err != nil {
			return c.until(s.segs[0].size - at), notEnd(err)
		}
		n := binary.BigEndian.Uint32(h[:4])
		if n == 0 || n > maxFrame { // a crash may have left zeros
			return c.until(s.segs[0].size - at), nil
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(in, data); err != nil {
			return c.until(s.segs[0].size - at), notEnd(err)
		}
		if crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(h[4:]) {
			return c.until(s.segs[0].size - at), nil
		}
		if r, err := ledger.Decode(data); err == nil {
			c.records = append(c.records, r)
		} else {
			c.unknown++
		}
		at += int64(head) + int64(n)
	}
}

// until says how many bytes are damaged.
func (c content) until(damaged int64) content {
	c.damaged = damaged
	return c
}

func notEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return fmt.Errorf("ledger spool: %w", err)
}

// drop removes the oldest segment, whose records are in the database.
func (s *spool) drop() error {
	if err := os.Remove(s.segs[0].path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("ledger spool: %w", err)
	}
	s.size -= s.segs[0].size
	s.segs = s.segs[1:]
	return nil
}
