package guard

import (
	"container/list"
	"sync"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// debts are settlements that wait for the store, oldest first.
type debts struct {
	most int

	mu   sync.Mutex
	list *list.List
	byID map[[2]string]*list.Element
}

type debt struct {
	settlement *quota.Settlement
	doubt      bool // void it only in case that it was reserved
}

// add lets a settlement wait; ok is false where there is no room. One in doubt gives way, and does not take the place of
// one that is known.
func (d *debts) add(s *quota.Settlement, doubt bool) (ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list == nil {
		d.list, d.byID = list.New(), map[[2]string]*list.Element{}
	}
	key := [2]string{s.Organization, s.ID}
	if e := d.byID[key]; e != nil {
		if !doubt || e.Value.(*debt).doubt {
			e.Value = &debt{s, doubt}
		}
		return true
	}
	if d.list.Len() >= d.most {
		return false
	}
	d.byID[key] = d.list.PushBack(&debt{s, doubt})
	return true
}

// drop forgets what was in doubt.
func (d *debts) drop(organization, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.byID[[2]string{organization, id}]; e != nil && e.Value.(*debt).doubt {
		d.remove(e)
	}
}

// known reports whether a settlement waits that is not in doubt.
func (d *debts) known(organization, id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.byID[[2]string{organization, id}]
	return e != nil && !e.Value.(*debt).doubt
}

func (d *debts) remove(e *list.Element) {
	s := d.list.Remove(e).(*debt).settlement
	delete(d.byID, [2]string{s.Organization, s.ID})
}

// done forgets a debt that was paid, unless another took its place.
func (d *debts) done(x *debt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.byID[[2]string{x.settlement.Organization, x.settlement.ID}]; e != nil && e.Value == x {
		d.remove(e)
	}
}

// all returns what waits.
func (d *debts) all() []*debt {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list == nil {
		return nil
	}
	out := make([]*debt, 0, d.list.Len())
	for e := d.list.Front(); e != nil; e = e.Next() {
		out = append(out, e.Value.(*debt))
	}
	return out
}

// len is how many wait.
func (d *debts) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.byID)
}
