package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// TestTheLinkerDropsWhatNobodyCalls looks for methods that nothing here calls in the program. They are there when anything
// that is linked looks methods up by a name that it only knows when it runs: the linker then keeps them all.
func TestTheLinkerDropsWhatNobodyCalls(t *testing.T) {
	out, err := exec.Command("go", "tool", "nm", stack.Binary(t)).Output()
	if err != nil {
		t.Fatal("go tool nm:", err)
	}
	linked := string(out)
	for _, want := range []string{"github.com/redis/go-redis/v9.cmdable.Del", "google.golang.org/grpc.NewServer"} {
		if !strings.Contains(linked, " "+want+"\n") {
			t.Fatalf("%s is not in the program: this test looks at nothing", want)
		}
	}
	for _, dead := range []string{
		"github.com/redis/go-redis/v9.cmdable.GeoSearchStore",
		"github.com/envoyproxy/go-control-plane/envoy/config/core/v3.(*HealthCheck).GetTlsOptions",
		"text/template.(*state).evalField",
	} {
		if strings.Contains(linked, " "+dead+"\n") {
			t.Errorf("%s is in the program: see docs/adr/0011-what-the-linker-drops.md for how to find out who keeps it", dead)
		}
	}
}
