package accounts

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/journal"
	"github.com/signalbox-ai/signalbox/internal/quota/lease"
)

// leasing is what this process reserves ahead, and what the one before it had.
type leasing struct {
	leases *lease.Store          // nil: nothing is reserved ahead
	before []journal.Reservation // leases of the process before this one
}

// lend has reservations drawn from leases where owners ask often.
func (a *Accounts) lend(under quota.Store, by *budgets.Service) quota.Store {
	p := lease.Params{
		Store: under, From: by.Leases, Replicas: by.Replicas, Timeout: by.Timeout, Undone: a.undone,
		Settled: func(st *quota.Settlement, out quota.Outcome, err error) { a.Meter.Settled(st, out, err) },
	}
	if a.journal != nil {
		p.Journal = lessor{a.journal, boot()}
	}
	a.leases = lease.New(p)
	return a.leases
}

// boot is an id of the machine's run; "": it is not known, as elsewhere than on Linux, and leases of a crash stay charged.
func boot() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// settledLater is told of settlements that waited for the store.
func (a *Accounts) settledLater(st *quota.Settlement, out quota.Outcome, err error) {
	if a.leases != nil {
		a.leases.Settled(st, out, err)
		return
	}
	a.Meter.Settled(st, out, err)
}

// lessor notes leases in the journal.
type lessor struct {
	*journal.Journal
	boot string
}

// Leased implements lease.Journal. The note is the machine's run and where the windows begin that the lease is in.
func (j lessor) Leased(r *quota.Request, as quota.Lapse) error {
	note := []byte(j.boot)
	for i := range as.Parts {
		note = strconv.AppendInt(append(note, ' '), as.Parts[i].Start, 10)
	}
	return j.Reserved(r, note, journal.Written)
}

// partLeases takes the leases out of what the process before this one left. They are not put back: what their exchanges
// reserved is, one by one.
func (a *Accounts) partLeases() {
	if a.left == nil {
		return
	}
	var open []journal.Reservation
	for _, r := range a.left.Open {
		if lease.Is(r.Request.ID) {
			a.before = append(a.before, r)
		} else {
			open = append(open, r)
		}
	}
	a.left.Open = open
}

// undoLeases ends the leases of the process before this one by nothing: all that was drawn from them is in the journal, and
// reserved or settled by itself by now. Where the machine ran anew in between, the journal may lack the last; then they stay
// charged whole.
func (a *Accounts) undoLeases(ctx context.Context) error {
	for len(a.before) > 0 {
		r := &a.before[0]
		starts := strings.Fields(string(r.Note))
		if boot := boot(); boot != "" && len(starts) == 1+len(r.Request.Claims) && starts[0] == boot {
			in := quota.Settlement{Organization: r.Request.Organization, ID: r.Request.ID, Born: time.Now(), Draws: []quota.Draw{}}
			as := quota.Lapse{ID: r.Request.ID}
			for i, c := range r.Request.Claims {
				start, _ := strconv.ParseInt(starts[1+i], 10, 64)
				in.Claims = append(in.Claims, quota.Claim{Budget: c.Budget})
				as.Parts = append(as.Parts, quota.Part{Budget: c.Budget.ID, Kind: c.Budget.Window.Kind.Letter(), Amount: c.Amount, Start: start})
			}
			out, err := a.counts.Settle(ctx, &in)
			if err != nil {
				return err
			}
			if out.From == quota.Expired && out.Changed() {
				a.undone(in.Organization, as)
			}
		}
		_ = a.journal.Settled(r.Request.Organization, r.Request.ID)
		a.before = a.before[1:]
	}
	return nil
}

// undone corrects the record of a lease that was charged whole when it expired, by what its exchanges have records of.
func (a *Accounts) undone(organization string, l quota.Lapse) {
	if a.books == nil {
		return
	}
	r := a.books.Lapsed(organization, l)
	r.TellLate()
	r.Money.Cost, r.Money.List, r.Money.Reserved = -r.Money.Cost, -r.Money.List, 0
	for i := range r.Money.Charges {
		r.Money.Charges[i].Amount = -r.Money.Charges[i].Amount
	}
	a.writer.Add(r)
}
