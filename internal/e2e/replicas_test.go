package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// copied is a configuration of two services behind one Envoy whose requests are all copied. secrets is what they share.
func copied(a, b, secrets string) func(int) string {
	return func(int) string {
		return fmt.Sprintf(`
ledger: { store: "sqlite:run/ledger.db" }
%s
providers:
  - { name: a, kind: mock, base_url: %s/v1, models: [ { name: echo, price: { input: 1, output: 2 } } ] }
  - { name: b, kind: mock, base_url: %s/v1, models: [ { name: echo, price: { input: 1, output: 2 } } ] }
defaults: { answer_headers: true }
routes:
  - { name: all, match: { models: [ smart ] }, targets: [ a/echo ] }
experiments:
  - { name: copy, kind: shadow, route: all, sample: 100%%, budget: 20 USD, arms: [ { name: live }, { name: next, targets: [ b/echo ] } ] }
`, secrets, a, b)
	}
}

// copiesOf returns how many copies the services say came to a result.
func copiesOf(all []*stack.Stack, result string) (n int) {
	for _, s := range all {
		for line := range strings.Lines(linesWith(s.Metrics(), `signalbox_shadow_copies_total{arm="copy/next",result="`+result+`"}`)) {
			f := strings.Fields(line)
			i, _ := strconv.Atoi(f[len(f)-1])
			n += i
		}
	}
	return n
}

// written are the exchanges of a service's ledger: ids of clients', and what those of its own are copies of.
func written(t *testing.T, s *stack.Stack) (clients map[string]bool, copies []string) {
	t.Helper()
	clients = map[string]bool{}
	for _, org := range []string{"default", "signalbox.own"} {
		out := stack.Output(t, stack.Binary(t), "usage", "export", "--ledger", "sqlite:"+s.Dir+"/run/ledger.db", "--from", time.Now().Add(-time.Hour).Format(time.RFC3339), "--shape", "records", "--where", "organization="+org)
		for line := range strings.Lines(out) {
			of, _ := jsonx.String(jsonx.At([]byte(line), "asked", "shadows"))
			id, _ := jsonx.String(jsonx.Get([]byte(line), "id"))
			if of == "" {
				clients["default/"+id] = true
			} else {
				copies = append(copies, of)
			}
		}
	}
	return clients, copies
}

// crossed starts two services, each with an Envoy of its own, of which the first sends its own traffic through the other's
// Envoy: it arrives at the other replica, all of it. Behind one Envoy that is a matter of which thread accepted which
// connection, and a service whose copies follow each other has only one.
func crossed(t *testing.T, yaml func(int) string) []*stack.Stack {
	t.Helper()
	all := []*stack.Stack{stack.Up(t, yaml(0)), stack.Up(t, yaml(1))}
	const socket = "/run/own.sock"
	from, to := all[0].Dir+socket, all[1].Dir+socket
	for _, path := range []string{from, to} {
		stack.Eventually(t, 20*time.Second, "Envoy listens", func() error {
			c, err := net.Dial("unix", path)
			if err == nil {
				err = c.Close()
			}
			return err
		})
	}
	if err := os.Remove(from); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, from); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestACopyArrivesAtAnotherReplica has two services that share a secret: a copy is let in, charged to nobody and written down
// wherever it arrives.
func TestACopyArrivesAtAnotherReplica(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start     func(*testing.T, func(int) string) []*stack.Stack
		elsewhere func(n int) bool // of n copies that come to another service than what they are copies of
	}{
		"behind one Envoy":                      {func(t *testing.T, yaml func(int) string) []*stack.Stack { return stack.Replicas(t, 2, yaml) }, func(int) bool { return true }},
		"one sends all of its own to the other": {crossed, func(n int) bool { return n == 30 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newProvider(t, "a"), newProvider(t, "b")
			secret := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(secret, []byte(strings.Repeat("s3cret", 8)), 0o600); err != nil {
				t.Fatal(err)
			}
			all := c.start(t, copied(a.url, b.url, `auth: { secrets: { keys: "file:`+secret+`" } }`))
			const n = 60
			for i := range n {
				got := post(t, all[i%2].Base+chatPath, chat("smart", false))
				got.want(t, 200, "Hello")
				if at := got.header.Get("x-signalbox-target"); at != "a/echo" {
					t.Errorf("the caller's answer is from %s", at)
				}
			}
			stack.Eventually(t, 20*time.Second, "all copies are answered", func() error {
				if got := copiesOf(all, "answered"); got != n {
					return fmt.Errorf("%d are", got)
				}
				return nil
			})
			if got := copiesOf(all, "failed") + copiesOf(all, "spent"); got != 0 || len(b.Journal()) != n {
				t.Errorf("%d copies came to nothing, and %d reached their target", got, len(b.Journal()))
			}
			stack.Eventually(t, 20*time.Second, "the ledgers have them", func() error {
				clients, own, elsewhere := 0, 0, 0
				for _, s := range all {
					mine, copies := written(t, s)
					clients, own = clients+len(mine), own+len(copies)
					for _, of := range copies {
						if !mine[of] {
							elsewhere++
						}
					}
				}
				if clients != n || own != n || !c.elsewhere(elsewhere) {
					return fmt.Errorf("%d exchanges of clients, %d copies, %d of them at another service", clients, own, elsewhere)
				}
				return nil
			})
		})
	}
}

// TestCopiesOfReplicasThatShareNothing are let in by the service that sent them alone: the other refuses them, and no client
// learns of that.
func TestCopiesOfReplicasThatShareNothing(t *testing.T) {
	t.Parallel()
	a, b := newProvider(t, "a"), newProvider(t, "b")
	all := crossed(t, copied(a.url, b.url, ""))
	const n = 30
	for range n {
		for _, s := range all {
			post(t, s.Base+chatPath, chat("smart", false)).want(t, 200, "Hello")
		}
	}
	for i, want := range []string{"failed", "answered"} {
		stack.Eventually(t, 20*time.Second, "copies are over", func() error {
			if good, bad := copiesOf(all[i:i+1], "answered"), copiesOf(all[i:i+1], "failed"); good+bad != n || copiesOf(all[i:i+1], want) != n {
				return fmt.Errorf("of service %d %d are answered, and %d failed", i, good, bad)
			}
			return nil
		})
	}
	if got := len(b.Journal()); got != n {
		t.Errorf("%d copies reached their target, want %d", got, n)
	}
}

// TestAProbeArrivesAtAnotherReplica has two services behind one Envoy, which tell each other what they know by a Redis: a target
// comes back at both by the probes of one of them, wherever these arrive.
func TestAProbeArrivesAtAnotherReplica(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t)
	first, second := newPatient(t), newPatient(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s3cret", 8)), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml := probing(first, second, "share: \"redis://"+r.Addr+"\", probe: { when: resting, timeout: 2s }", "") + `auth: { secrets: { keys: "file:` + secret + "\" } }\n"
	all := stack.Replicas(t, 2, func(int) string { return yaml })
	ask := func() string { return askR(t, all[0]) }
	stack.Eventually(t, 10*time.Second, "both are asked", func() error {
		ask()
		for _, s := range all {
			if m := s.Metrics(); !strings.Contains(m, `signalbox_exchanges_total{dialect="openai-chat",outcome="ok",route="r"}`) {
				return fmt.Errorf("one is not")
			}
		}
		return nil
	})
	first.turn(true)
	stack.Eventually(t, 20*time.Second, "both breakers open", func() error {
		for range 20 {
			if got := ask(); got != "second/m 1" {
				return fmt.Errorf("it goes to %s", got)
			}
		}
		return nil
	})
	stop := asking(t, all[0])
	_, harmed, _ := first.seen()
	first.turn(false)
	stack.Eventually(t, 60*time.Second, "everything goes to it again", func() error {
		for range 40 {
			if got := ask(); got != "first/m 1" {
				return fmt.Errorf("it goes to %s", got)
			}
		}
		return nil
	})
	if again := stop(); again > 0 {
		t.Errorf("%d requests took more than one attempt", again)
	}
	if _, now, probes := first.seen(); now != harmed || probes < 3 || probes > 8 {
		t.Errorf("it came back by %d probes, and %d requests of clients were harmed", probes, now-harmed)
	}
}
