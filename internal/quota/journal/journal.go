// Package journal lets what was reserved and used survive the process: an append-only file, in segments.
//
//	R reserved ─► U used ─► A the store knows ─► L the ledger has it
//
// Of hard limits a line is on disk before anything is done by it: a reservation in a store that ends with the process
// before it is granted, a use before the store is told. A reservation that a store elsewhere has, too, is the kernel's
// before it is granted, which the end of the process does not undo. The others are the kernel's after Params.Delay; and
// what is not waited for is on disk after Params.Lag: so much the end of the process, or of the machine, can lose.
//
// After a crash, what was used and not settled is settled again, which is safe to repeat; what was used and not
// written to the ledger is handed out again; and what was only reserved is reserved again, to expire and be charged
// as it was reserved, for the provider may have billed it. A line counts once its frame is whole: the end of a
// segment that a crash cut off is passed over.
//
// The package says what must survive; it computes no charge and keeps no counters. Store puts it before a
// quota.Store.
package journal

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Params are a journal's settings; zero fields but Dir have defaults.
type Params struct {
	Dir     string        // made where it is missing; of one process at a time
	Segment int64         // bytes after which a new segment begins; 64 MiB
	Delay   time.Duration // until lines that nobody waits for are the kernel's, so that the process may be killed; 20 ms
	Lag     time.Duration // from then on until they are on disk, so that the machine may lose its power; 1 s
	Batch   int           // or until there are so many; 256
	Ledger  bool          // whether a line is kept until the ledger has it, too
	Forget  time.Duration // after which a reservation without an end is another's to charge; 24 hours
	Alarm   func(error)   // told when the disk fails, and with nil when it works again; nil: nobody
	Now     func() time.Time
	Seen
}

// Seen are told what the disk does, by who writes to it or with the journal locked: they must not wait. nil:
// nobody is.
type Seen struct {
	Synced func(took time.Duration) // lines are on disk
	Fault  func(reason string)      // write, sync, full (no space is left), open (of a new segment) or lost (a line could not wait any more)
}

// Journal is a journal that is open. It is safe for concurrent use.
type Journal struct {
	p    Params
	lock *os.File
	file sync.Mutex // of writing to the segment; before mu

	mu   sync.Mutex
	wake *sync.Cond
	pending
	failed  error
	closed  bool
	live    map[key]*entry
	entries int // that there were
	active  *segment
	old     []*segment // oldest first
	lagging bool       // lines were written that are not on disk yet
	due     bool       // they must be now
	done    chan struct{}
}

// pending is what is not written yet.
type pending struct {
	buffer  []byte         // frames
	spare   []byte         // room for the next
	lines   int            // in it
	budgets map[string]int // numbers of those that the segment defines to which the buffer goes
	defined []byte         // their definitions
	round   *round         // that the lines are in
	handed  []batch        // written, but for the writer to see to: they are to be on disk, or failed
}

// key names an exchange.
type key struct{ organization, id string }

// entry is an exchange whose lines are needed. Of open streams there are thousands: it is small.
type entry struct {
	segment *segment // with its first line
	order   int      // among all
	at      int64    // when it was born; from when its use is noted on, when that was. Unix milliseconds
	used    bool
	owed    bool // with a note, which the ledger is to have
	settled bool
	written bool
}

// round is lines that go to disk together.
type round struct {
	urgent  bool
	waited  bool // somebody waits until it is on disk
	written bool // it is the kernel's
	over    chan struct{}
	err     error
}

// mostWaiting bounds the lines in memory while the disk fails.
const mostWaiting = 16 << 20

// errFull is returned for lines that cannot be kept until the disk works again.
var errFull = errors.New("journal: the disk fails, and no more lines can wait for it")

func (p *Params) defaults() {
	if p.Segment <= 0 {
		p.Segment = 64 << 20
	}
	if p.Delay <= 0 {
		p.Delay = 20 * time.Millisecond
	}
	if p.Lag <= 0 {
		p.Lag = time.Second
	}
	if p.Batch <= 0 {
		p.Batch = 256
	}
	if p.Forget <= 0 {
		p.Forget = 24 * time.Hour
	}
	if p.Alarm == nil {
		p.Alarm = func(error) {}
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Synced == nil {
		p.Synced = func(time.Duration) {}
	}
	if p.Fault == nil {
		p.Fault = func(string) {}
	}
}

// Open opens the journal of a folder, and returns what a process before this one left in it.
func Open(p Params) (*Journal, *Left, error) {
	p.defaults()
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("the journal's folder: %w", err)
	}
	lock, err := hold(p.Dir)
	if err != nil {
		return nil, nil, err
	}
	j := &Journal{p: p, lock: lock, live: map[key]*entry{}, pending: pending{budgets: map[string]int{}, round: newRound()}, done: make(chan struct{})}
	j.wake = sync.NewCond(&j.mu)
	left, last, err := j.replay()
	if err == nil {
		err = j.begin(last + 1)
	}
	if err != nil {
		lock.Close()
		return nil, nil, err
	}
	j.trim()
	go j.write()
	return j, left, nil
}

func newRound() *round { return &round{over: make(chan struct{})} }

// Close writes what waits and closes the journal.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.wake.Broadcast()
	j.mu.Unlock()
	<-j.done
	var late error
	if j.lagging {
		late = syncData(j.active.file)
	}
	err := errors.Join(j.failed, late, j.active.file.Close())
	j.lock.Close()
	return err
}

// Failed returns why the disk does not take lines at the moment, or nil.
func (j *Journal) Failed() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// Until is what a caller waits for.
type Until uint8

// What can be waited for.
const (
	Queued  Until = iota // nothing: what is in memory is lost with the process, until Params.Delay
	Written              // the kernel has it: the process may be killed
	Synced               // it is on disk: the machine may lose its power
)

// Reserved notes a request that the store reserved. note is handed out after a crash.
func (j *Journal) Reserved(r *quota.Request, note []byte, until Until) error {
	return j.add(&line{kind: lineReserved, organization: r.Organization, id: r.ID, born: j.p.Now(), hold: r.Hold, claims: r.Claims, note: note}, until)
}

// Used notes what an exchange used, before the store is told. It returns when that is on disk. note is handed out after
// a crash until Written; without one nothing waits for the ledger.
func (j *Journal) Used(s *quota.Settlement, note []byte) error { return j.used(s, note, Synced) }

// Noted is Used for what no hard limit is of: it does not wait. Until Params.Delay it is lost with the process, and until
// Params.Lag with the machine.
func (j *Journal) Noted(s *quota.Settlement, note []byte) error { return j.used(s, note, Queued) }

func (j *Journal) used(s *quota.Settlement, note []byte, until Until) error {
	return j.add(&line{kind: lineUsed, organization: s.Organization, id: s.ID, born: s.Born, void: s.Void, claims: s.Claims, note: note}, until)
}

// Settled notes that the store knows how an exchange ended, or that it was refused.
func (j *Journal) Settled(organization, id string) error {
	return j.add(&line{kind: lineSettled, organization: organization, id: id}, Queued)
}

// Written notes that the ledger has the record of an exchange.
func (j *Journal) Written(organization, id string) error {
	return j.add(&line{kind: lineWritten, organization: organization, id: id}, Queued)
}

// add queues a line.
func (j *Journal) add(l *line, until Until) error {
	j.mu.Lock()
	k := key{l.organization, l.id}
	end := l.kind == lineSettled || l.kind == lineWritten
	switch {
	case j.closed:
		j.mu.Unlock()
		return errors.New("journal: it is closed")
	case end && j.live[k].has(l.kind):
		j.mu.Unlock()
		return nil // nothing of it is on disk, or all that is needed
	case len(j.buffer) > mostWaiting:
		j.mu.Unlock()
		j.p.Fault("lost")
		return errFull
	}
	if err := j.queue(l); err != nil {
		j.mu.Unlock()
		return err
	}
	j.note(l, j.active)
	at := j.round
	at.urgent = at.urgent || until == Synced || j.lines >= j.p.Batch
	at.waited = at.waited || until == Synced
	if at.urgent || j.lines == 1 {
		j.wake.Broadcast()
	}
	failed := j.failed
	j.mu.Unlock()
	if until == Queued || failed != nil { // nobody waits for a disk that fails
		return failed
	}
	if until == Written && j.handOver(at) {
		return nil
	}
	<-at.over
	return at.err
}

// has reports whether the end that a line tells is known: nothing need be written of an exchange that has no lines.
func (e *entry) has(k kind) bool {
	return e == nil || k == lineSettled && e.settled || k == lineWritten && e.written
}

// queue puts a line into the buffer.
func (j *Journal) queue(l *line) error {
	for i := range l.claims { // before it, what is new is defined
		j.number(l.claims[i].Budget)
	}
	at := len(j.buffer)
	b := l.encode(append(j.buffer, make([]byte, header)...), j.number)
	if n := len(b) - at - header; n > longest {
		return fmt.Errorf("journal: a line of %d bytes is over %d", n, longest)
	}
	seal(b[at:])
	j.buffer = b
	j.lines++
	return nil
}

// number returns the number of a budget in the current segment, and defines it there where it is new.
func (j *Journal) number(b *quota.Budget) int {
	if n, ok := j.budgets[b.ID]; ok {
		return n
	}
	n := len(j.budgets)
	j.budgets[b.ID] = n
	at := len(j.defined)
	j.defined = frame(j.defined, define(n, b))
	j.buffer = append(j.buffer, j.defined[at:]...)
	return n
}

// note follows what a line means for what must be kept. The caller holds the lock, but for replay.
func (j *Journal) note(l *line, in *segment) {
	k := key{l.organization, l.id}
	e := j.live[k]
	if e == nil {
		if l.kind == lineSettled || l.kind == lineWritten {
			return
		}
		j.entries++
		e = &entry{order: j.entries, segment: in, at: l.born.UnixMilli()}
		in.live++
		j.live[k] = e
	}
	switch l.kind {
	case lineUsed:
		if !e.used {
			e.at = j.p.Now().UnixMilli()
		}
		e.used, e.owed = true, e.owed || len(l.note) > 0
	case lineSettled:
		e.settled = true
	case lineWritten:
		e.written = true
	}
	// What was refused or given back, and what expired, has no record of its own here.
	if e.settled && (e.written || !e.owed || !j.p.Ledger) {
		e.segment.live--
		delete(j.live, k)
	}
}

// Waiting returns how many exchanges have lines that are needed.
func (j *Journal) Waiting() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.live)
}

// Overdue returns how many exchanges were used up before a time whose records the ledger does not have yet.
func (j *Journal) Overdue(before time.Time) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, e := range j.live {
		if j.p.Ledger && e.used && e.owed && !e.written && e.at < before.UnixMilli() {
			n++
		}
	}
	return n
}

// forget drops reservations that ended elsewhere long ago.
func (j *Journal) forget() {
	limit := j.p.Now().Add(-j.p.Forget).UnixMilli()
	for k, e := range j.live {
		if !e.used && e.at < limit {
			e.segment.live--
			delete(j.live, k)
		}
	}
}
