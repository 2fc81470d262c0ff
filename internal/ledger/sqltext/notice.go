package sqltext

import (
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// Claim takes a notice on, and changes one row where it may be. The height becomes the claimed one even where it was higher, as
// that of a limit that was lowered before anybody could say so: Said would not find it.
func Claim(f Flavor, n book.Notice) Statement {
	b := builder{flavor: f}
	b.text("INSERT INTO ledger_notices AS t (organization,id,height,at,said) VALUES (")
	for i, v := range []any{n.Organization, n.ID, n.Height, n.At.Unix()} {
		if i > 0 {
			b.text(",")
		}
		b.arg(v)
	}
	b.text(",0) ON CONFLICT (organization,id) DO UPDATE SET height=excluded.height, at=excluded.at, said=0 WHERE t.height<excluded.height OR (t.said=0 AND t.at<=")
	b.arg(n.At.Add(-book.Lease).Unix())
	b.text(")")
	return Statement{b.sql.String(), b.args}
}

// Said ends a claim.
func Said(f Flavor, n book.Notice) Statement {
	b := builder{flavor: f}
	b.text("UPDATE ledger_notices SET said=1 WHERE organization=")
	b.arg(n.Organization)
	b.text(" AND id=")
	b.arg(n.ID)
	b.text(" AND height=")
	b.arg(n.Height)
	return Statement{b.sql.String(), b.args}
}

// keptNotices is how long what was said is remembered.
const keptNotices = 400 * 24 * time.Hour
