package probe

import (
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	var none Settings
	if none.On() || none.Rules() != (Rules{}) {
		t.Error("without the section something is probed")
	}
	s := Preset()
	if s.On() {
		t.Error("what holds where the file says nothing is on")
	}
	s.Use()
	if want := (Rules{Idle, 30 * time.Second, 5 * time.Second}); s.Rules() != want || !s.Covers("any") {
		t.Errorf("the section alone means %+v", s.Rules())
	}
	for word, want := range map[string]When{Off: Never, "resting": Resting, "idle": Idle, "always": Always} {
		if s.When = word; s.Rules().When != want || s.On() != (want != Never) {
			t.Errorf("%s means %v", word, s.Rules().When)
		}
	}
	if s.Providers = []string{"a"}; s.Covers("b") || !s.Covers("a") {
		t.Error("other providers are probed than those that are named")
	}
}
