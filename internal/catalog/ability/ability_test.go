package ability_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
)

func TestEveryAbilityHasAName(t *testing.T) {
	all := ability.Set(0)
	for i, n := range ability.Names() {
		a, ok := ability.Parse(n)
		if !ok || a != 1<<i || a.String() != n {
			t.Errorf("%s is %b, named %s", n, a, a)
		}
		all |= a
	}
	if all.Has(ability.Batch<<1) || !all.Has(ability.Batch) || all != ability.Batch<<1-1 {
		t.Errorf("the last ability is not the last name: %b", all)
	}
	if _, ok := ability.Parse("telepathy"); ok {
		t.Error("telepathy is an ability")
	}
	if got := (ability.Tools | ability.PDF | ability.Vision).String(); got != "tools,vision,pdf" {
		t.Error(got)
	}
}
