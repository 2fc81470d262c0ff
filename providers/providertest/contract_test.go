package providertest_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/providertest"
)

func TestEveryKindKeepsTheContract(t *testing.T) {
	kinds := all.Kinds()
	if len(kinds.Names()) == 0 {
		t.Fatal("there are no kinds")
	}
	for _, name := range kinds.Names() {
		k, ok := kinds.Kind(name)
		if !ok || k.Name != name {
			t.Fatalf("%q is listed, and not there", name)
		}
		t.Run(name, func(t *testing.T) { providertest.Contract(t, k) })
	}
}
