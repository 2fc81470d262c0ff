package journal

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
)

// TestMain lets the test's binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_WRITER"); dir != "" {
		writer(dir)
		return
	}
	if dir := os.Getenv("JOURNAL_ADMITTER"); dir != "" {
		admitter(dir)
		return
	}
	os.Exit(m.Run())
}

// writer writes lines and says of each when it is on disk, until it is killed.
func writer(dir string) {
	j, _, err := Open(Params{Dir: dir, Segment: 1 << 14})
	if err != nil {
		fmt.Println(err)
		return
	}
	said := make(chan string)
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("w%d-%d", w, i)
				if j.Used(settlement(id, quota.Claim{Budget: money, Amount: int64(i)}), []byte("note")) != nil {
					return
				}
				said <- id
				if i%3 == 0 {
					_ = j.Settled("acme", id)
				}
			}
		}()
	}
	for id := range said {
		fmt.Println(id)
	}
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		said := killed(t, "JOURNAL_WRITER="+dir)
		j, left, err := Open(Params{Dir: dir})
		must(t, err)
		have := map[string]int64{}
		for _, u := range left.Unsettled {
			have[u.Settlement.ID] = u.Settlement.Claims[0].Amount
		}
		missing := 0
		for _, id := range said {
			var w, i int64
			if _, err := fmt.Sscanf(id, "w%d-%d", &w, &i); err != nil {
				continue // cut off by the kill
			}
			if n, ok := have[id]; i%3 != 0 && (!ok || n != i) {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("%d of %d acknowledged lines are missing", missing, len(said))
		}
		for id := range have {
			must(t, j.Settled("acme", id))
		}
		must(t, j.Close())
	}
}

// admitter admits exchanges under a hard limit, whose store is elsewhere, and says of each that it may be sent, until it is
// killed. Some end, so that the disk is busy.
func admitter(dir string) {
	j, _, err := Open(Params{Dir: dir, Segment: 1 << 14})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := Wrap(memory.New(memory.Params{}), j, false)
	said := make(chan string)
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("w%d-%d", w, i)
				claim := quota.Claim{Budget: life, Amount: int64(i)}
				if g, no, err := s.Reserve(context.Background(), request(id, claim)); err != nil || no != nil || g.State != quota.Pending {
					return
				}
				said <- id
				if i%4 == 0 {
					in := settlement(id, claim)
					in.Born = time.Now()
					_, _ = s.Settle(context.Background(), in)
				}
			}
		}()
	}
	for id := range said {
		fmt.Println(id)
	}
}

// A store elsewhere may lose everything at the moment at which this process is killed: then nobody else knows what was
// admitted last.
func TestWhatWasAdmittedUnderAHardLimitSurvivesAKill(t *testing.T) {
	for range 3 {
		dir := t.TempDir()
		said := killed(t, "JOURNAL_ADMITTER="+dir)
		j, left, err := Open(Params{Dir: dir})
		must(t, err)
		must(t, j.Close())
		have := map[string]int64{}
		for _, r := range left.Open {
			have[r.Request.ID] = r.Request.Claims[0].Amount
		}
		missing := 0
		for _, id := range said {
			var w, i int64
			if _, err := fmt.Sscanf(id, "w%d-%d", &w, &i); err != nil {
				continue // cut off by the kill
			}
			if n, ok := have[id]; i%4 != 0 && (!ok || n != i) {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("%d of %d exchanges that were admitted are missing", missing, len(said))
		}
	}
}

// killed runs the test's binary until it has said 300 things, kills it, and returns all that it said.
func killed(t *testing.T, env string) (said []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), env)
	out, err := cmd.StdoutPipe()
	must(t, err, cmd.Start())
	lines := bufio.NewScanner(out)
	for len(said) < 300 && lines.Scan() {
		said = append(said, lines.Text())
	}
	must(t, cmd.Process.Kill())
	for lines.Scan() {
		said = append(said, lines.Text())
	}
	_ = cmd.Wait()
	if len(said) < 300 {
		t.Fatalf("the process said %q", said)
	}
	return said
}
