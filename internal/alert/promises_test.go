package alert

import (
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/slo"
)

func TestPromisesThatAreBrokenAreSaidOnce(t *testing.T) {
	c := open(t, spending("500 USD"))
	const days = 30 * 24 * time.Hour
	var x slo.Tracker
	now := noon()
	x.Set([]slo.Objective{
		{Name: "chat", Kind: slo.Success, Allow: .005, Window: days},
		{Name: "chat", Kind: slo.FirstToken, Within: 800 * time.Millisecond, Allow: .05, Window: days},
		{Name: "chat", Kind: slo.Total, Within: time.Minute, Allow: .05, Window: days},
		{Name: "chat", Kind: slo.Cost, Allow: 10_000, Window: days},
	}, now)
	w := c.watcher()
	look := func(want ...string) {
		t.Helper()
		c.state.SLOs = x.Status(now)
		c.look(w, now, want...)
	}
	for range 1000 {
		x.Exchange(&slo.Event{Route: "chat", Stream: true, First: time.Second / 2, Total: time.Second}, now.Add(-24*time.Hour))
	}
	look()
	for i := range 20 {
		x.Exchange(&slo.Event{Route: "chat", Stream: true, First: time.Second, Total: time.Second, Failed: i%2 == 0}, now)
		x.Spent("chat", nil, 1000, 12_500_000, now)
	}
	burns := []string{
		`slo critical: chat's promise of 99.5% successes burns its error budget at 100.0 times the even pace`,
		`slo critical: chat's promise of a first token within 800ms burns its error budget at 20.0 times the even pace`,
		`slo warning: chat's promise of 0.01 USD for 1000 tokens burns its error budget at 1.2 times the even pace`,
	}
	look(append(burns, `slo warning: chat's promise of 0.01 USD for 1000 tokens has used up its error budget`, `slo warning: chat's promise of 99.5% successes has used up its error budget`)...)
	now = now.Add(time.Minute)
	look() // once
	w = c.watcher()
	look() // another replica, or after a restart
	now = now.Add(7 * time.Hour)
	for range 20 {
		x.Exchange(&slo.Event{Route: "chat", Failed: true}, now)
	}
	look(`slo critical: chat's promise of 99.5% successes burns its error budget at 200.0 times the even pace`) // it goes on
	if a := unkept(x.Status(now), now); len(a) == 0 || a[0].Text == "" || len(a[0].Facts) != 6 {
		t.Errorf("alerts %+v", a)
	}
}
