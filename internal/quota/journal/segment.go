package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// segment is a file of the journal.
type segment struct {
	number  int
	path    string
	file    *os.File // of the one that is written
	size    int64
	live    int  // exchanges whose first line is in it
	suspect bool // a write or sync failed: it may end in half a line, behind which nothing is read
}

// name returns the file's name of a segment.
func name(number int) string { return fmt.Sprintf("%016d.journal", number) }

// hold takes the folder's lock, so that two processes never write one journal.
func hold(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the journal's lock: %w", err)
	}
	if err := exclusive(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("the journal in %s is in use by another process: %w", dir, err)
	}
	return f, nil
}

// begin makes a new segment the current one. Budgets are defined anew in it.
func (j *Journal) begin(number int) error {
	path := filepath.Join(j.p.Dir, name(number))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("a segment of the journal: %w", err)
	}
	if err := syncDir(j.p.Dir); err != nil {
		f.Close()
		_ = os.Remove(path) // the next attempt makes it anew
		return fmt.Errorf("the journal's folder: %w", err)
	}
	if j.active != nil {
		j.active.file.Close()
		j.old = append(j.old, j.active)
	}
	j.active = &segment{number: number, path: path, file: f}
	return nil
}

// trim removes segments from which nothing is needed, from the oldest on: an end is never in an older segment than
// what it ends, so what stays never loses its end.
func (j *Journal) trim() {
	for len(j.old) > 0 && j.old[0].live == 0 {
		if err := os.Remove(j.old[0].path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return // tried again with the next segment
		}
		j.old = j.old[1:]
	}
}

// again is the pause between two attempts at a disk that fails.
const again = time.Second

// batch is what goes to disk at once.
type batch struct {
	lines   []byte
	defined []byte // all budgets that these and later lines may name
	round   *round
	sync    bool // whether it must be on disk, and not only the kernel's
}

// write brings lines to disk until the journal is closed. While one batch is synced, the next gathers.
func (j *Journal) write() {
	defer close(j.done)
	for {
		b, stop := j.gather()
		switch {
		case len(b.lines) > 0:
			err := j.put(b)
			j.finish(b, err)
			if err != nil && !stop {
				time.Sleep(again)
			}
			stop = stop && err != nil
		case j.lagging:
			if err := j.catchUp(); err != nil {
				j.p.Alarm(err) // what comes next goes to a new segment
			}
		default:
			j.mu.Lock()
			j.due = false
			j.mu.Unlock()
		}
		if stop {
			j.mu.Lock()
			j.round.err = j.failed
			close(j.round.over)
			j.mu.Unlock()
			return
		}
	}
}

// gather waits for lines: at once for those that somebody waits for, a little for others.
func (j *Journal) gather() (b batch, stop bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.buffer) == 0 && !j.closed && !j.due {
		j.wake.Wait()
	}
	if j.due && len(j.buffer) == 0 {
		return batch{}, j.closed
	}
	if !j.round.urgent && !j.closed {
		timer := time.AfterFunc(j.p.Delay, func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.round.urgent = true
			j.wake.Broadcast()
		})
		for !j.round.urgent && !j.closed {
			j.wake.Wait()
		}
		timer.Stop()
	}
	b = batch{lines: j.buffer, defined: j.defined, round: j.round, sync: j.round.waited || j.due}
	j.buffer, j.lines, j.round = nil, 0, newRound()
	if j.active.size+int64(len(b.lines)) >= j.p.Segment {
		// The lines after these go to the next segment, where their budgets must be defined.
		j.defined = nil
		clear(j.budgets)
	}
	return b, j.closed
}

// put writes a batch. After an error the file is suspect: what it says it has may not be on disk. The lines then go to a
// new one whole, with the budgets that they name.
func (j *Journal) put(b batch) (err error) {
	if !j.active.suspect {
		if err = j.append(b.lines, b.sync); err == nil {
			return nil
		}
	}
	if rerr := j.rotate(); rerr != nil {
		return errors.Join(err, rerr)
	}
	return j.append(slices.Concat(b.defined, b.lines), b.sync)
}

func (j *Journal) append(lines []byte, sync bool) error {
	s := j.active
	n, err := s.file.Write(lines)
	s.size += int64(n)
	if err != nil {
		s.suspect = true
		j.p.Fault(reasonOf(err, "write"))
		return err
	}
	if sync {
		return j.catchUp()
	}
	if !j.lagging {
		j.lagging = true
		time.AfterFunc(j.p.Lag, func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.due = true
			j.wake.Broadcast()
		})
	}
	return nil
}

// catchUp brings to disk what was written. Only the writer calls it.
func (j *Journal) catchUp() error {
	j.lagging = false
	j.mu.Lock()
	j.due = false
	j.mu.Unlock()
	began := time.Now()
	err := syncData(j.active.file)
	if err != nil {
		j.active.suspect = true
		j.p.Fault(reasonOf(err, "sync"))
		return err
	}
	j.p.Synced(time.Since(began))
	return nil
}

// reasonOf says why a disk failed: it is full, or what was tried.
func reasonOf(err error, tried string) string {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return "full"
	}
	return tried
}

// rotate goes on to a new segment.
func (j *Journal) rotate() error {
	if j.lagging { // before the lock, which callers wait for
		_ = j.catchUp() // what failed is said by the next
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.forget()
	err := j.begin(j.active.number + 1)
	if err != nil {
		j.p.Fault(reasonOf(err, "open"))
	}
	j.trim()
	return err
}

// finish tells those who wait, and keeps the lines where the disk failed.
func (j *Journal) finish(b batch, err error) {
	j.mu.Lock()
	before := j.failed
	j.failed = err
	full := err == nil && j.active.size >= j.p.Segment
	if err != nil {
		j.buffer = slices.Concat(b.defined, b.lines, j.buffer)
		j.round.urgent = true
	}
	j.mu.Unlock()
	if full {
		if rerr := j.rotate(); rerr != nil {
			j.p.Alarm(rerr) // the segment grows over its size, and the next batch tries again
		}
	}
	b.round.err = err
	close(b.round.over)
	if (before == nil) != (err == nil) {
		j.p.Alarm(err)
	}
}
