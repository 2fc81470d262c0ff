package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

// backtestPlace makes a ledger of exchanges at OpenAI and Anthropic, by turns, and a configuration of two routes.
func backtestPlace(t *testing.T) (config, address string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "ledger.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		ledgertest.Write(t, s, ledgertest.Make(fmt.Sprintf("x%03d", i), ledgertest.Noon().Add(time.Duration(i)*time.Minute), func(r *ledger.Record) {
			if i%2 == 0 {
				a := &r.Attempts[0]
				a.Provider, a.Kind, a.Model, a.Region = "claude", "anthropic", "claude-sonnet-4-5", ""
			}
		}))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(dir, "new.yaml")
	text := `providers:
  - { name: openai, kind: openai, key: env:SIGNALBOX_NOT_SET }
  - { name: claude, kind: anthropic, key: env:SIGNALBOX_NOT_SET }
  - { name: other, kind: groq, key: env:SIGNALBOX_NOT_SET }
routes:
  - { name: support, match: { models: [ smart ], teams: [ core ] }, targets: [ openai/gpt-5.1, claude/claude-sonnet-4-5 ] }
  - { name: rest, match: { models: [ smart ] }, targets: [ other/openai/gpt-oss-120b ] }
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, "sqlite:" + path
}

func backtestRun(t *testing.T, status int, args ...string) (out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	if got := run(append([]string{"backtest"}, args...), streams{strings.NewReader(""), &o, &e}); got != status {
		t.Errorf("%v: status %d, want %d; %s", args, got, status, e.String())
	}
	return o.String(), e.String()
}

func TestBacktestReplaysALedger(t *testing.T) {
	config, address := backtestPlace(t)
	args := []string{"--config", config, "--ledger", address, "--from", "2026-08-20", "--to", "2026-08-22"}
	out, _ := backtestRun(t, 0, args...)
	// 200 times 1,000 tokens at $1.25 a million, 500 of the cache's at $0.125 and 500 of answers at $10 are $1.2625. Of what moves, none is
	// expected to fail, as none of the 100 attempts did; how often it may yet be is the interval's.
	for _, want := range []string{
		"200 exchanges from 2026-08-20T00:00:00Z until 2026-08-22T00:00:00Z", "cost $                        2.5000  1.2625    1.2501   1.2812  -49.5 %",
		"openai/gpt-5.1            50.00 %  100.00 %  97.84 %  100.00 %  100 attempts",
		"claude/claude-sonnet-4-5  50.00 %  0.00 %    0.00 %   2.16 %    100 attempts",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	object, _ := backtestRun(t, 0, append(args, "--json")...)
	first := jsonx.Get([]byte(object), "targets")
	if again, _ := backtestRun(t, 0, append(args, "--json")...); again != object || !strings.HasPrefix(string(first), `[{"target":"openai/gpt-5.1","share":{"old":0.5,"new":1,"low":0.97839572`) {
		t.Errorf("got %s, then %s", object, again)
	}
	if none, _ := backtestRun(t, 0, append(args, "--where", "team=nobody")...); !strings.HasPrefix(none, "0 exchanges ") {
		t.Errorf("got %s", none)
	}
}

func TestBacktestFlagsThatMakeNoSense(t *testing.T) {
	config, address := backtestPlace(t)
	for _, c := range []struct{ args, say string }{
		{"--ledger " + address + " --from yesterday", "--from: not a time"},
		{"--ledger " + address + " --from 2026-08-02 --to 2026-08-01", "begins at or after its end"},
		{"--ledger " + address + " --where model=x", "what routing decides cannot be chosen by"},
		{"--ledger " + address + " --from 2026-08-20 --to 2026-08-22 --most 10", "more than 10 exchanges"},
		{"--ledger " + address + " --most 0", "--most: at least 1"},
		{"--ledger sqlite:/nowhere/ledger.db", "no such file"},
	} {
		if _, errs := backtestRun(t, 1, append([]string{"--config", config}, strings.Fields(c.args)...)...); !strings.Contains(errs, c.say) {
			t.Errorf("%s: %s", c.args, errs)
		}
	}
	backtestRun(t, 2, "--ledger", address)
	if _, errs := backtestRun(t, 1, "--config", config+".none"); !strings.Contains(errs, "no such file") {
		t.Error(errs)
	}
}
