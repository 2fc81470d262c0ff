package ledgertest

import (
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/owner"
)

// own has traffic of the gateway's own beside a client's: it is told where it is asked for.
func own(t *testing.T, s book.Store) {
	Write(t, s, Make("a", Noon()), Make("b", Noon().Add(time.Minute), func(r *ledger.Record) {
		r.Organization, r.Asked.Shadows = owner.OwnTraffic, "acme/a"
	}))
	with := All()
	with.Own = true
	for _, c := range []struct {
		name string
		f    book.Filter
		want string
	}{
		{"what is not asked for", All(), "a"},
		{"what is not asked for, of a team", filter("team", "core"), "a"},
		{"all", with, "a b"},
		{"it alone", filter("organization", owner.OwnTraffic), "b"},
		{"a client's organization", filter("organization", "acme"), "a"},
	} {
		var ids []string
		for _, r := range Read(t, s, c.f) {
			ids = append(ids, r.ID)
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		list, err := s.(book.Lister).List(t.Context(), c.f, nil, false, 10)
		if err != nil || len(list) != len(ids) {
			t.Errorf("%s: %d are listed, %v", c.name, len(list), err)
		}
		rows, err := s.Usage(t.Context(), book.Query{Filter: c.f})
		if err != nil || len(rows) != 1 || rows[0].Sums.Exchanges != int64(len(ids)) {
			t.Errorf("%s: got %+v, %v", c.name, rows, err)
		}
	}
}
