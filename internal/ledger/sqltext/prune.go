package sqltext

import (
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// Old is rows that a retention no longer keeps.
type Old struct {
	Table, Column string
	Before        int64 // of the column
	Period        book.Period
	Key           string // columns that name a row, where rows have no number
	Also          string // a further condition
}

// Where is the condition of the rows. A start of 0 is none, and stays.
func (o *Old) Where() string {
	w := o.Column + "<" + strconv.FormatInt(o.Before, 10) + " AND " + o.Column + "<>0"
	if o.Period != 0 {
		w += " AND period='" + string(o.Period) + "'"
	}
	if o.Also != "" {
		w += " AND " + o.Also
	}
	return w
}

// Expired returns what is older than a retention allows.
func Expired(keep book.Retention, now time.Time) (out []Old) {
	if keep.Records > 0 {
		out = append(out, Old{Table: "ledger_records", Column: "at", Before: now.Add(-keep.Records).UnixMilli(), Key: "rowid"})
	}
	for _, p := range [...]struct {
		period book.Period
		keep   time.Duration
	}{{book.Minute, keep.Minutes}, {book.Hour, keep.Hours}, {book.Day, keep.Days}} {
		if p.keep > 0 {
			out = append(out, Old{Table: "ledger_rollups", Column: "start", Before: now.Add(-p.keep).Unix(), Period: p.period, Key: "period,start,series"})
		}
	}
	return append(out, Old{Table: "ledger_budgets", Column: "start", Before: now.Add(-book.KeptCharges).Unix(), Key: "organization,budget,start"},
		Old{Table: "ledger_notices", Column: "at", Before: now.Add(-keptNotices).Unix(), Key: "organization,id"},
		Old{Table: "ledger_sinks", Column: "seen", Before: now.Add(-book.Forgotten).Unix(), Key: "name"},
		Old{Table: "ledger_outbox", Column: "since", Before: now.UnixMilli(), Key: "n", Also: "sink NOT IN (SELECT name FROM ledger_sinks)"})
}
