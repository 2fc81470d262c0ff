package sqltext

import (
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// Taking is how long what a sink took may take to be noted.
const Taking = 10 * time.Second

// mostBacklog is how far a backlog is counted.
const mostBacklog = 1_000_000

// Name makes a sink known, or notes that it is still wanted.
func Name(f Flavor, sink string, now time.Time) Statement {
	b := builder{flavor: f}
	b.text("INSERT INTO ledger_sinks AS t (name,seen) VALUES (")
	b.arg(sink)
	b.text(",")
	b.arg(now.Unix())
	b.text(") ON CONFLICT (name) DO UPDATE SET seen=excluded.seen WHERE t.seen<excluded.seen")
	return Statement{b.sql.String(), b.args}
}

// Backlog selects how many records wait for a sink, and since when the oldest does.
func Backlog(f Flavor, sink string) Statement {
	b := builder{flavor: f}
	b.text("SELECT COUNT(*),COALESCE(MIN(since),0) FROM (SELECT since FROM ledger_outbox WHERE sink=")
	b.arg(sink)
	b.text(" ORDER BY n LIMIT ", strconv.Itoa(mostBacklog), ") AS o")
	return Statement{b.sql.String(), b.args}
}

// BacklogRow reads a row of Backlog.
func BacklogRow(count, since int64) book.Backlog {
	out := book.Backlog{Records: count}
	if count > 0 {
		out.Oldest = time.UnixMilli(since).UTC()
	}
	return out
}

// Handed is a row of the outbox with the record's data, nil where there is none any more.
type Handed struct {
	Number, Since int64
	Data          *string
}

// Row returns where a row's columns go.
func (h *Handed) Row() []any { return []any{&h.Number, &h.Since, &h.Data} }

// Waiting reads rows. Of those from one on that cannot be read, as a newer program may have written it, none are returned; the
// error is of the first row only.
func Waiting(rows []Handed) (out []book.Waiting, err error) {
	for _, h := range rows {
		w := book.Waiting{Number: h.Number, Since: time.UnixMilli(h.Since).UTC()}
		if h.Data != nil {
			if w.Record, err = ledger.Decode([]byte(*h.Data)); err != nil {
				if len(out) > 0 {
					err = nil
				}
				return out, err
			}
		}
		out = append(out, w)
	}
	return out, nil
}

// Numbers returns those of the first rows.
func Numbers(all []book.Waiting, taken int) []int64 {
	out := make([]int64, 0, taken)
	for i := range all[:min(taken, len(all))] {
		out = append(out, all[i].Number)
	}
	return out
}
