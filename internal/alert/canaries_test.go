package alert

import (
	"testing"
	"time"
)

func TestACanaryThatEndsIsSaidOnce(t *testing.T) {
	c := open(t, spending("500 USD"))
	now := noon()
	w := c.watcher()
	c.look(w, now)
	c.state.Canaries = []Canary{
		{Experiment: "bad", Route: "chat", Why: "its own exchanges burn the error budget of chat (success)", At: now},
		{Experiment: "good", Arm: "next", Why: "all steps went well", At: now},
		{Experiment: "old", Why: "answers take longer", At: now.Add(-25 * time.Hour)},
	}
	c.look(w, now, "experiment info: the canary good is over: every request gets the arm next", "experiment warning: the canary bad was stopped: its own exchanges burn the error budget of chat (success)")
	c.look(w, now.Add(time.Minute))
	c.look(c.watcher(), now.Add(time.Hour)) // another replica, or after a restart
	c.state.Canaries = append(c.state.Canaries, Canary{Experiment: "bad", Why: "answers take longer", At: now.Add(2 * time.Hour)})
	c.look(w, now.Add(2*time.Hour), "experiment warning: the canary bad was stopped: answers take longer") // it was begun anew
	if a := ended(c.state.Canaries, now); len(a) != 3 || len(a[0].Facts) != 3 || a[0].Text == "" {
		t.Errorf("alerts %+v", a)
	}
}
