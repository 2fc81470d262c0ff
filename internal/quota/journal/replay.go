package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Left is what a process left in the journal when it ended.
type Left struct {
	Open      []Reservation // reserved, and no end is known
	Unsettled []Use         // used, and the store may not know
	Unwritten []Use         // used, and the ledger may not have it
	Broken    int           // segments whose end was cut off
}

// Reservation is a request that was reserved.
type Reservation struct {
	Request quota.Request
	Note    []byte
}

// Use is what an exchange used.
type Use struct {
	Settlement quota.Settlement
	Note       []byte
}

// story is the lines of one exchange that are more than a mark in its entry.
type story struct{ reserved, used *line }

// replay reads all segments. last is the number of the last.
func (j *Journal) replay() (left *Left, last int, err error) {
	files, err := filepath.Glob(filepath.Join(j.p.Dir, "*.journal"))
	if err != nil {
		return nil, 0, err
	}
	slices.Sort(files)
	left = &Left{}
	stories := map[key]*story{}
	for _, path := range files {
		number, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".journal"))
		if err != nil {
			continue // not ours
		}
		last = max(last, number)
		s := &segment{number: number, path: path}
		j.old = append(j.old, s)
		whole, err := j.read(s, stories)
		if err != nil {
			return nil, 0, err
		}
		if !whole {
			left.Broken++
		}
	}
	for _, k := range j.order(stories) {
		stories[k].tell(left, j.live[k], j.p.Ledger)
	}
	return left, last, nil
}

// order sorts exchanges by their first lines, so that what happened first is settled first.
func (j *Journal) order(stories map[key]*story) []key {
	keys := make([]key, 0, len(stories))
	for k := range stories {
		if j.live[k] != nil {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b key) int { return j.live[a].order - j.live[b].order })
	return keys
}

// read reads a segment. whole is false where its end is broken; it is cut off there.
func (j *Journal) read(s *segment, stories map[key]*story) (whole bool, err error) {
	b, err := os.ReadFile(s.path)
	if err != nil {
		return false, fmt.Errorf("a segment of the journal: %w", err)
	}
	budgets := map[uint64]*quota.Budget{}
	at := 0
	for at < len(b) {
		body, n, err := next(b[at:])
		if err != nil {
			break
		}
		l, err := decode(body, budgets)
		if err != nil {
			break
		}
		at += n
		if l == nil {
			continue
		}
		j.note(l, s)
		k := key{l.organization, l.id}
		if j.live[k] == nil {
			delete(stories, k) // all of it is where it belongs
			continue
		}
		t := stories[k]
		if t == nil {
			t = &story{}
			stories[k] = t
		}
		switch l.kind {
		case lineReserved:
			t.reserved = l
		case lineUsed:
			t.used = l
		}
	}
	if at == len(b) {
		return true, nil
	}
	if err := os.Truncate(s.path, int64(at)); err != nil && !errors.Is(err, os.ErrPermission) {
		return false, fmt.Errorf("cutting off the broken end of a segment: %w", err)
	}
	return false, nil
}

// tell sorts an exchange by what is left to do.
func (t *story) tell(left *Left, e *entry, ledger bool) {
	switch {
	case t.used != nil:
		l := t.used
		u := Use{Settlement: quota.Settlement{Organization: l.organization, ID: l.id, Born: l.born, Void: l.void, Claims: l.claims}, Note: l.note}
		if !e.settled {
			left.Unsettled = append(left.Unsettled, u)
		}
		if ledger && e.owed && !e.written {
			left.Unwritten = append(left.Unwritten, u)
		}
	case t.reserved != nil && !e.settled:
		l := t.reserved
		left.Open = append(left.Open, Reservation{Request: quota.Request{Organization: l.organization, ID: l.id, Claims: l.claims, Hold: l.hold}, Note: l.note})
	}
}
