package metering

import (
	"fmt"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

func TestWhatIsLeftOfMoneyIsRemembered(t *testing.T) {
	now := time.Unix(1e9, 0)
	m := &Meter{now: func() time.Time { return now }}
	money := func(id string, limit int64) *quota.Budget {
		return &quota.Budget{ID: id, Unit: quota.Money, Limit: limit}
	}
	day, month, other := money("day", 100), money("month", 1000), money("other", 10)
	shadow := &quota.Budget{ID: "shadow", Unit: quota.Money, Limit: 10, Shadow: true}
	requests := &quota.Budget{ID: "requests", Unit: quota.Requests, Limit: 10}
	all := []*quota.Budget{day, month, shadow, requests}
	want := func(share float64) {
		t.Helper()
		if got := m.Left(all); got != share {
			t.Errorf("%v is left, want %v", got, share)
		}
	}
	want(1)
	m.Saw(&Granted{
		Claims: []quota.Claim{{Budget: day}, {Budget: month}, {Budget: shadow}, {Budget: requests}},
		Levels: []quota.Level{{Left: 25, Reset: time.Hour}, {Left: 500}, {Left: 0}, {Left: 0}},
	})
	want(0.25)
	m.Saw(&Granted{No: &quota.Refusal{Budget: other, Left: 0}})
	want(0.25)
	now = now.Add(time.Hour) // the day is over
	want(0.5)
	m.Saw(&Granted{No: &quota.Refusal{Budget: month, Left: 10, Wait: time.Minute}})
	want(0.01)
	now = now.Add(time.Minute)
	want(1)
	if got := m.Left([]*quota.Budget{other}); got != 0 {
		t.Errorf("%v is left of a limit that refused", got)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	m := &Meter{now: time.Now}
	for i := range mostLefts + 10 {
		m.saw(&quota.Budget{ID: fmt.Sprint(i), Unit: quota.Money, Limit: 10}, 5, 0)
	}
	n := 0
	m.lefts.of.Range(func(any, any) bool { n++; return true })
	if n > mostLefts {
		t.Errorf("%d are remembered", n)
	}
}
