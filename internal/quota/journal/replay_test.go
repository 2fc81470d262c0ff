package journal

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// A segment that is cut off anywhere, or broken anywhere, tells of the lines before that place, and no others.
func TestABrokenEndIsPassedOver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		model := map[string]string{} // by id: how far it is
		whole := frame(frame(nil, define(0, money)), define(1, rate))
		states := []map[string]string{{}}
		sizes := []int{len(whole)}
		for range rapid.IntRange(1, 20).Draw(rt, "lines") {
			l := line{kind: rapid.SampledFrom([]kind{lineReserved, lineUsed, lineSettled, lineWritten}).Draw(rt, "kind"), organization: "acme", id: rapid.StringMatching("[a-d]").Draw(rt, "id")}
			l.claims = []quota.Claim{{Budget: rapid.SampledFrom([]*quota.Budget{money, rate}).Draw(rt, "budget"), Amount: 1}}
			l.note = []byte("n")
			whole = frame(whole, l.encode(nil, func(b *quota.Budget) int { return map[*quota.Budget]int{money: 0, rate: 1}[b] }))
			model[l.id] = follow(model[l.id], l.kind)
			states, sizes = append(states, clone(model)), append(sizes, len(whole))
		}
		at := rapid.IntRange(0, len(whole)).Draw(rt, "at")
		switch {
		case at == len(whole):
		case rapid.Bool().Draw(rt, "cut"):
			whole = whole[:at]
		default:
			whole[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		}
		dir, err := os.MkdirTemp(t.TempDir(), "j")
		must(t, err, os.WriteFile(filepath.Join(dir, name(1)), whole, 0o600))
		j, left, err := Open(Params{Dir: dir, Ledger: true})
		must(t, err, j.Close())
		i := 0
		for i+1 < len(sizes) && sizes[i+1] <= at {
			i++
		}
		if d := cmp.Diff(states[i], told(left)); d != "" {
			rt.Fatalf("broken at %d of %d: -want +got\n%s", at, len(whole), d)
		}
	})
}

// follow is how far an exchange is after a line: R reserved, U used, A and L as in the journal; "" once nothing of it
// is needed.
func follow(state string, k kind) string {
	switch {
	case k == lineReserved && state == "":
		return "R"
	case k == lineUsed:
		return "U" + strings.TrimLeft(state, "RU")
	case k == lineSettled && state != "" || k == lineWritten && state != "":
		state = strings.ReplaceAll(state, string(k), "") + string(k)
	}
	if strings.HasPrefix(state, "R") && strings.Contains(state, "A") || strings.HasPrefix(state, "U") && strings.Contains(state, "A") && strings.Contains(state, "L") {
		return ""
	}
	return state
}

func clone(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		if v = strings.TrimRight(v, "L"); v != "" && v[0] == 'R' {
			out[k] = "R" // what else is known of it shows later
		} else if m[k] != "" {
			out[k] = m[k]
		}
	}
	return out
}

func told(l *Left) map[string]string {
	out := map[string]string{}
	for _, r := range l.Open {
		out[r.Request.ID] = "R"
	}
	unwritten := map[string]bool{}
	for _, u := range l.Unwritten {
		unwritten[u.Settlement.ID] = true
	}
	for _, u := range l.Unsettled {
		out[u.Settlement.ID] = "U"
		if !unwritten[u.Settlement.ID] {
			out[u.Settlement.ID] = "UL"
		}
		delete(unwritten, u.Settlement.ID)
	}
	for id := range unwritten {
		out[id] = "UA"
	}
	delete(out, "sync")
	return out
}

func FuzzDecode(f *testing.F) {
	number := func(*quota.Budget) int { return 0 }
	for _, l := range []line{
		{kind: lineReserved, organization: "acme", id: "a", claims: []quota.Claim{{Budget: money, Amount: 7}}, note: []byte("n"), hold: time.Minute},
		{kind: lineUsed, organization: "acme", id: "a", claims: []quota.Claim{{Budget: money, Amount: 7}}, void: true},
		{kind: lineSettled, organization: "acme", id: "a"},
	} {
		f.Add(frame(frame(nil, define(0, money)), l.encode(nil, number)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		budgets := map[uint64]*quota.Budget{}
		for len(b) > 0 {
			body, n, err := next(b)
			if err != nil {
				return
			}
			l, err := decode(body, budgets)
			if err != nil {
				return
			}
			b = b[n:]
			if l == nil {
				continue
			}
			numbers := map[*quota.Budget]int{}
			for k, v := range budgets {
				numbers[v] = int(k)
			}
			again, err := decode(l.encode(nil, func(b *quota.Budget) int { return numbers[b] }), budgets)
			if err != nil || again.id != l.id || len(again.claims) != len(l.claims) || !slices.Equal(again.note, l.note) {
				t.Fatalf("got %+v, %v, want %+v", again, err, l)
			}
		}
	})
}
