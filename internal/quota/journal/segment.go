package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

// batch is lines that are written at once.
type batch struct {
	lines   []byte
	defined []byte // all budgets that these and later lines may name
	round   *round
	segment *segment
}

// mostKept is the largest room of a batch that is used again.
const mostKept = 1 << 20

// take cuts off what waits. The caller holds both locks.
func (j *Journal) take() batch {
	b := batch{lines: j.buffer, defined: j.defined, round: j.round, segment: j.active}
	j.buffer, j.spare = j.spare[:0], nil
	j.lines, j.round = 0, newRound()
	if j.active.size+int64(len(b.lines)) >= j.p.Segment {
		// The lines after these go to the next segment, where their budgets must be defined.
		j.defined = nil
		clear(j.budgets)
	}
	return b
}

// giveBack keeps the room of lines that nobody needs any more for a later batch. The caller holds the lock.
func (j *Journal) giveBack(lines []byte) {
	if cap(lines) > cap(j.spare) && cap(lines) <= mostKept {
		j.spare = lines
	}
}

// handOver makes a round the kernel's, and reports whether it is.
func (j *Journal) handOver(r *round) bool {
	j.hand()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !r.written {
		r.urgent = true
		j.wake.Broadcast()
	}
	return r.written
}

// hand makes what waits the kernel's, without the writer, which may wait for the disk: that outlives the process, and takes
// microseconds. Whatever is not as usual is left to the writer.
func (j *Journal) hand() {
	j.file.Lock()
	defer j.file.Unlock()
	j.mu.Lock()
	if len(j.buffer) == 0 || j.failed != nil || j.closed || j.active.suspect || j.active.size+int64(len(j.buffer)) >= j.p.Segment {
		j.mu.Unlock()
		return
	}
	b := j.take()
	j.mu.Unlock()
	err := j.append(b.lines)
	j.mu.Lock()
	defer j.mu.Unlock()
	b.round.written = err == nil // of one that failed, the writer says what became of it
	if err == nil && !b.round.waited {
		close(b.round.over)
		j.giveBack(b.lines)
		return
	}
	j.handed = append(j.handed, b)
	j.wake.Broadcast()
}

// write brings lines to disk until the journal is closed. While one batch is synced, the next gathers.
func (j *Journal) write() {
	defer close(j.done)
	for {
		j.await()
		all, sync, stop := j.put()
		if len(all.batches) > 0 {
			if all.err == nil && sync {
				all.err = j.catchUp()
			}
			if all.err != nil {
				all.err = j.afresh(&all, sync)
			}
			j.finish(&all)
			if all.err != nil && !stop {
				time.Sleep(again)
			}
			stop = stop && all.err != nil
		} else if err := j.catchUp(); err != nil {
			j.p.Alarm(err) // what comes next goes to a new segment
		}
		if stop || j.empty() {
			j.mu.Lock()
			j.round.err = j.failed
			close(j.round.over)
			j.mu.Unlock()
			return
		}
	}
}

// empty reports whether the journal is closed and nothing waits.
func (j *Journal) empty() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed && len(j.buffer) == 0 && len(j.handed) == 0
}

// await waits for lines: not at all for those that somebody waits for, a little for others.
func (j *Journal) await() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.buffer) == 0 && len(j.handed) == 0 && !j.closed && !j.due {
		j.wake.Wait()
	}
	if len(j.buffer) == 0 || len(j.handed) > 0 || j.round.urgent || j.closed {
		return
	}
	timer := time.AfterFunc(j.p.Delay, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.round.urgent = true
		j.wake.Broadcast()
	})
	for at := j.round; !at.urgent && !j.closed && j.round == at; {
		j.wake.Wait()
	}
	timer.Stop()
}

// writing is what goes to disk together.
type writing struct {
	batches []batch
	err     error
}

// whole is the lines with the budgets that they name.
func (w *writing) whole() (out []byte) {
	for _, b := range w.batches {
		out = append(append(out, b.defined...), b.lines...)
	}
	return out
}

// put writes what waits. sync says whether it must be on disk, and not only the kernel's.
func (j *Journal) put() (all writing, sync, stop bool) {
	j.file.Lock()
	defer j.file.Unlock()
	j.mu.Lock()
	all.batches, j.handed = j.handed, nil
	for _, b := range all.batches {
		if b.segment.suspect {
			all.err = errSuspect
		}
	}
	sync, stop = len(all.batches) > 0 || j.due, j.closed
	if len(j.buffer) == 0 {
		j.mu.Unlock()
		return all, sync, stop
	}
	b := j.take()
	all.batches = append(all.batches, b)
	if b.segment.suspect {
		all.err = errSuspect
	}
	j.mu.Unlock()
	if all.err == nil {
		all.err = j.append(b.lines)
		j.mu.Lock()
		b.round.written = all.err == nil
		j.mu.Unlock()
	}
	return all, sync || b.round.waited, stop
}

// errSuspect is of a file that failed: what it says it has may not be on disk.
var errSuspect = errors.New("the segment failed before")

// afresh writes lines to a new segment, whole and with the budgets that they name.
func (j *Journal) afresh(all *writing, sync bool) error {
	was := all.err
	j.file.Lock()
	err := j.rotate()
	if err == nil {
		was, err = nil, j.append(all.whole())
	}
	j.file.Unlock()
	if err == nil && sync {
		err = j.catchUp()
	}
	if was == errSuspect { //nolint:errorlint // our own, as it is
		was = nil
	}
	return errors.Join(was, err)
}

// append writes to the segment. The caller has the file.
func (j *Journal) append(lines []byte) error {
	s := j.active
	n, err := s.file.Write(lines)
	j.mu.Lock()
	defer j.mu.Unlock()
	s.size += int64(n)
	if err != nil {
		s.suspect = true
		j.p.Fault(reasonOf(err, "write"))
		return err
	}
	if !j.lagging {
		j.lagging = true
		time.AfterFunc(j.p.Lag, func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.due = j.lagging
			j.wake.Broadcast()
		})
	}
	return nil
}

// catchUp brings to disk what was written. Only the writer calls it.
func (j *Journal) catchUp() error {
	j.mu.Lock()
	s, late := j.active, j.lagging
	j.lagging, j.due = false, false
	j.mu.Unlock()
	if !late {
		return nil
	}
	began := time.Now()
	if err := syncData(s.file); err != nil {
		j.mu.Lock()
		s.suspect = true
		j.mu.Unlock()
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

// rotate goes on to a new segment. The caller has the file, and nothing that is waited for is on its way to disk.
func (j *Journal) rotate() error {
	_ = j.catchUp() // before the lock, which callers wait for; what failed is said by the next
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
func (j *Journal) finish(all *writing) {
	j.mu.Lock()
	before, err := j.failed, all.err
	j.failed = err
	full := err == nil && j.active.size >= j.p.Segment
	if err != nil {
		j.buffer = append(all.whole(), j.buffer...)
		j.round.urgent = true
	} else {
		for _, b := range all.batches {
			j.giveBack(b.lines)
		}
	}
	j.mu.Unlock()
	if full {
		j.file.Lock()
		if rerr := j.rotate(); rerr != nil {
			j.p.Alarm(rerr) // the segment grows over its size, and the next batch tries again
		}
		j.file.Unlock()
	}
	for _, b := range all.batches {
		b.round.err = err
		close(b.round.over)
	}
	if (before == nil) != (err == nil) {
		j.p.Alarm(err)
	}
}
