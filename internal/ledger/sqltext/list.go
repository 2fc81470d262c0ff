package sqltext

import (
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// List selects the data of a page of records.
func List(f Flavor, q *book.Filter, after *ledger.Record, newest bool, n int) Statement {
	b := builder{flavor: f}
	b.records(q)
	order, beyond := "", ">"
	if newest {
		order, beyond = " DESC", "<"
	}
	if after != nil {
		b.text(" AND (at,organization,id,sequence)", beyond, "(")
		for i, v := range []any{after.At.UnixMilli(), after.Organization, after.ID, after.Sequence} {
			if i > 0 {
				b.text(",")
			}
			b.arg(v)
		}
		b.text(")")
	}
	b.text(" ORDER BY at", order, ",organization", order, ",id", order, ",sequence", order, " LIMIT ", strconv.Itoa(n))
	return Statement{b.sql.String(), b.args}
}

// Find selects the data of an exchange's records.
func Find(f Flavor, organization, id string) Statement {
	b := builder{flavor: f}
	b.text("SELECT data FROM ledger_records WHERE organization=")
	b.arg(organization)
	b.text(" AND id=")
	b.arg(id)
	b.text(" ORDER BY sequence")
	return Statement{b.sql.String(), b.args}
}

// Decode reads the data of records.
func Decode(lines []string) ([]*ledger.Record, error) {
	out := make([]*ledger.Record, 0, len(lines))
	for _, line := range lines {
		r, err := ledger.Decode([]byte(line))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
