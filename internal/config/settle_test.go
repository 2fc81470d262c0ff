package config_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/routing"
)

// What is found out when a configuration serves has the same place, and the same excerpt, as while it was read.
func TestLateErrorsAreWhereEarlyOnesWere(t *testing.T) {
	good(t, func(t *testing.T, _ string, c *config.Config) {
		paths := append(c.Paths(), "routes[0].nothing", "providers[99].key", "providers[0].params.nothing", "no.such", "")
		early := map[string]string{}
		for _, p := range paths {
			early[p] = c.Fault(p, "late").Report()
		}
		c.Settle(c.Table())
		for _, p := range paths {
			if diff := cmp.Diff(c.Fault(p, "late").Report(), early[p]); diff != "" {
				t.Errorf("%s: (-late +early):\n%s", p, diff)
			}
		}
	})
}

// Whoever asks a configuration that has settled is told the same as before, but for routes as they are written.
func TestAConfigurationThatHasSettledIsTheSame(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	say := func(c *config.Config) string {
		var b strings.Builder
		fmt.Fprintf(&b, "%s\n%s\n%+v\n%s\n", c.Text(), c.Warnings().Report(), c.Objectives(), c.Table().Models())
		for _, r := range []string{"chat", "nobody", "openai"} {
			fmt.Fprintln(&b, c.CheckStored("t", "route: "+r+"\nmessages: [ { role: user, content: hello } ]\n", kinds()))
		}
		return b.String()
	}
	for _, f := range files {
		c, err := config.Load(f, kinds())
		if err != nil {
			t.Fatal(err)
		}
		before := say(c)
		bound := c.Table().Bind(func(*routing.Target) *routing.About { return nil })
		c.Settle(bound)
		if diff := cmp.Diff(say(c), before); diff != "" {
			t.Errorf("%s: (-settled +before):\n%s", f, diff)
		}
		if c.Table() != bound || len(c.Routes) > 0 {
			t.Errorf("%s: it has the table %p with %d routes beside, want %p alone", f, c.Table(), len(c.Routes), bound)
		}
	}
}

func TestTheTextOfAFileHasOneKindOfLineEnds(t *testing.T) {
	text, err := os.ReadFile("testdata/good/windows-lines.yaml")
	if err != nil || !bytes.Contains(text, []byte("\r\n")) {
		t.Fatalf("%q, %v", text, err)
	}
	c, err := config.Parse("a.yaml", text, kinds())
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(string(text), "\r\n", "\n")
	clear(text) // which is its owner's
	if got := string(c.Text()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
