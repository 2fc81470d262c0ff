package sqltext

import (
	"time"
)

// Charged selects what budgets were charged; budgets nil: of all.
func Charged(f Flavor, organization string, budgets []string, since time.Time) Statement {
	b := builder{flavor: f}
	b.text("SELECT budget,start,amount FROM ledger_budgets WHERE organization=")
	b.arg(organization)
	if budgets != nil {
		b.text(" AND budget IN (")
		for i, id := range budgets {
			if i > 0 {
				b.text(",")
			}
			b.arg(id)
		}
		b.text(")")
	}
	b.text(" AND (start=0 OR start>=")
	b.arg(since.Unix())
	b.text(") ORDER BY budget,start")
	return Statement{b.sql.String(), b.args}
}
