package budgets

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/testkit/heap"
)

// crowd makes limits as a store of a large company has them: most of a key, the others of teams, projects and end users, some of
// models. Each is the only rule of its settings.
func crowd(n int) (all []Owned) {
	for i := range n {
		team := fmt.Sprintf("team-%d", i%2000)
		o := Owned{Level: "key", Party: Party{Organization: "acme-corporation", Key: fmt.Sprintf("key_%012d", i)}}
		r := Rule{Unit: "money", Spend: fmt.Sprintf("%d USD", 5+i%50), Window: "month"}
		switch {
		case i%20 < 8:
		case i%20 < 11:
			r = Rule{Unit: "tokens", Amount: 100_000 * (1 + i%7), Window: "day", Manner: Manner{Zone: "Europe/Berlin"}}
		case i%20 < 13:
			r = Rule{Unit: "requests", Amount: 60 * (1 + i%5), Window: "minute"}
		case i%20 < 14: // a model of a key
			r.Models = []string{fmt.Sprintf("gpt-%d*", i%37)}
			r.AlertAt = []string{"80%", "100%"}
		case i%20 < 16:
			r = Rule{Unit: "requests", Amount: 10, Window: "minute", Each: []string{"end_user"}}
		case i%20 < 18:
			o.Level, o.Team, o.Key = "team", fmt.Sprintf("%s-%d", team, i), ""
			r.AlertAt = []string{"50%", "80%", "100%"}
		default:
			o.Level, o.Team, o.Project, o.Key = "project", team, fmt.Sprintf("%s-project-%d", team, i), ""
			r.Soft = true
		}
		o.Limits.Rules = []Rule{r}
		all = append(all, o)
	}
	return all
}

func TestABudgetTakesLittleMemory(t *testing.T) {
	const n, most, mostUsed = 20_000, 100, 400 // bytes; as a rule with its budget, texts and lists, in two maps, it would be some 600
	all := crowd(n)
	size, objects := heap.Live()
	tb := table(t, all)
	sizeOf := func() float64 {
		now, _ := heap.Live()
		return (float64(now) - float64(size)) / n
	}
	each := sizeOf()
	_, more := heap.Live()
	t.Logf("%.0f bytes for each budget, and %d objects in all", each, more-objects)
	if each > most {
		t.Errorf("a budget takes %.0f bytes, and at most %d are meant", each, most)
	}
	if more > objects+n/20 {
		t.Errorf("%d budgets are %d objects", n, more-objects)
	}
	found := 0
	for i := range all {
		if all[i].Limits.Rules[0].Each == nil {
			found += len(tb.Find(nil, &all[i].Party, "gpt-5", "chat", nil))
		}
	}
	if found < n/2 {
		t.Errorf("%d are found", found)
	}
	each = sizeOf()
	t.Logf("%.0f bytes for each budget when %d were used", each, found)
	if each > mostUsed {
		t.Errorf("when they were used, each takes %.0f bytes, and at most %d are meant", each, mostUsed)
	}
	runtime.KeepAlive(tb)
	runtime.KeepAlive(all)
}

func TestNoMoreAreKeptMadeThanAreMeant(t *testing.T) {
	const n = mostMade + 6000
	var all []Owned
	for i := range n {
		o := Owned{Level: "key", Party: Party{Organization: "acme", Key: fmt.Sprint("key_", i)}}
		o.Limits.RequestsPerMinute = i + 1
		all = append(all, o)
	}
	tb := table(t, all)
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for i := k * n / 8; i < n; i++ {
				got := tb.Find(nil, &all[i].Party, "m", "r", nil)
				if len(got) != 1 || got[0].Limit != int64(i+1) || got[0].Owner.Name != all[i].Key {
					t.Errorf("budget %d is %+v", i, got)
					return
				}
			}
		})
	}
	wg.Wait()
	made := 0
	for i := range tb.made {
		if tb.made[i].Load() != nil {
			made++
		}
	}
	if made > mostMade || made < mostMade*9/10 || int64(made) != tb.used.Load() {
		t.Errorf("%d are made, and %d counted", made, tb.used.Load())
	}
	seen := 0
	for l := range tb.All() {
		if seen++; l.Budget.Limit != int64(seen) {
			t.Fatalf("budget %d is listed as %+v", seen, l.Budget)
		}
	}
	if now := tb.used.Load(); seen != n || now != int64(made) {
		t.Errorf("%d are listed, which makes %d of %d", seen, now, made)
	}
}

func BenchmarkFindOfMany(b *testing.B) {
	const n = 100_000
	all := crowd(n)
	tb, err := New(all)
	if err != nil {
		b.Fatal(err)
	}
	at := []string{"openai"}
	for _, used := range []int{100, 10_000, n} {
		b.Run(fmt.Sprint(used, " in use"), func(b *testing.B) {
			b.ReportAllocs()
			var dst []*quota.Budget
			i := 0
			for b.Loop() {
				if i++; i >= used {
					i = 0
				}
				dst = tb.Find(dst[:0], &all[i].Party, "gpt-5", "chat", at)
			}
		})
	}
	b.Run("none", func(b *testing.B) {
		b.ReportAllocs()
		p := Party{Organization: "acme-corporation", Team: "t", Project: "p", Key: "nobody"}
		var dst []*quota.Budget
		for b.Loop() {
			dst = tb.Find(dst[:0], &p, "gpt-5", "chat", at)
		}
	})
	b.Run("by id", func(b *testing.B) {
		b.ReportAllocs()
		var ids []string
		for l := range tb.All() {
			ids = append(ids, l.Budget.ID)
		}
		i := 0
		for b.Loop() {
			if i++; i >= 1000 {
				i = 0
			}
			if tb.Budget(ids[i*50]) == nil {
				b.Fatal("not found")
			}
		}
	})
}

func BenchmarkNew(b *testing.B) {
	all := crowd(100_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(all); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAll(b *testing.B) {
	tb, err := New(crowd(100_000))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for range tb.All() {
		}
	}
}
