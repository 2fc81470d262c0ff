package journal

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// TestMain lets the test's binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_WRITER"); dir != "" {
		writer(dir)
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
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "JOURNAL_WRITER="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err, cmd.Start())
		var said []string
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
			t.Fatalf("the writer said %q", said)
		}
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
