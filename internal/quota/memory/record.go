package memory

import "github.com/signalbox-ai/signalbox/internal/quota"

// record is a reservation that is open, or that has expired and whose truth may still come.
type record struct {
	id    string
	state quota.State
	due   int64 // when it expires or is forgotten, Unix milliseconds
	turn  uint32
	parts []part
}

// part is a reservation's part in one budget.
type part struct {
	counter *counter
	amount  int64
	start   int64 // of the window
}

// held is a record as it was when it was put into a queue: it may be another reservation's since.
type held struct {
	record *record
	turn   uint32
}

// newRecord takes a record with room for n parts.
func (o *organization) newRecord(id string, n int) *record {
	var r *record
	if last := len(o.free) - 1; last >= 0 {
		r, o.free = o.free[last], o.free[:last]
	} else {
		r = &record{}
	}
	r.id, r.state = id, quota.Pending
	if last := len(o.parts) - 1; last >= 0 {
		r.parts, o.parts = o.parts[last][:0], o.parts[:last]
	}
	if cap(r.parts) < n {
		r.parts = make([]part, 0, n)
	}
	o.records[id] = r
	return r
}

// most unused records and parts that are kept.
const spare = 4096

// known returns how a reservation stands; 0: there is none by that id.
func (o *organization) known(id string) quota.State {
	if r := o.records[id]; r != nil {
		return r.state
	}
	return o.past.of(id)
}

// end keeps of a record that it was settled or voided, until a time.
func (o *organization) end(r *record, state quota.State, due int64) {
	o.past.add(r.id, state, due)
	o.drop(r)
}

// drop drops a record.
func (o *organization) drop(r *record) {
	delete(o.records, r.id)
	if r.parts != nil && len(o.parts) < spare {
		o.parts = append(o.parts, r.parts)
	}
	*r = record{turn: r.turn + 1}
	if len(o.free) < spare {
		o.free = append(o.free, r)
	}
}

// opens enters an open reservation at the time when it expires.
func (o *organization) opens(r *record) { o.open.add(r.due, held{r, r.turn}) }

// expires takes the first open reservation whose time is over at now, or nil. Of those that ended, or are open for longer since, the
// entries go; the latter get one at their new time, so that each has one however often it is extended.
func (o *organization) expires(now int64) *record {
	for e := o.open.peek(); e != nil; e = o.open.peek() {
		h, due := e.thing, e.due
		is := h.record.turn == h.turn && h.record.state == quota.Pending
		if is && h.record.due == due && due > now {
			return nil
		}
		switch o.open.take(); {
		case is && h.record.due == due:
			return h.record
		case is:
			o.opens(h.record)
		}
	}
	return nil
}

// forgets drops the first that is to be forgotten at now, and reports whether there was one.
func (o *organization) forgets(now int64) bool {
	if o.past.forget(now) {
		return true
	}
	for e := o.expired.peek(); e != nil; e = o.expired.peek() {
		h := e.thing
		is := h.record.turn == h.turn
		if is && e.due > now {
			return false
		}
		if o.expired.take(); is {
			o.drop(h.record)
			return true
		}
	}
	return false
}
