package archtest

import (
	"path"
	"slices"
	"strings"
)

// layers are the packages, lowest line first. A package imports only from lines above its own in this table,
// and its own sub-packages never import it from a line above. A pattern's * stands for one path element; a
// plain name wins over a pattern.
var layers = []string{
	"proto/signalbox/usage/v1",
	"internal/llm internal/catalog/price internal/cpusched proto/*/*/*",
	"proto/*/*/*/*",
	`internal/jsonx
		internal/gctune
		internal/mapped
		internal/safefile
		internal/glob
		internal/secret
		internal/telemetry
		internal/inflate
		envoy/binary
		extproc/grpcwire
		internal/catalog/*
		internal/cli
		internal/experiment
		internal/experiment/stats
		internal/health/sketch
		internal/quota/window
		tokenizer/text
		tokenizer/ucd
		tokenizer/nfc
		tokenizer/heap`,
	`internal/catalog
		extproc/grpcwire/*
		internal/telemetry/*
		internal/catalog/billing
		internal/owner
		internal/slo
		internal/spend
		internal/trouble
		internal/health
		internal/evals
		internal/limits
		internal/queue
		internal/quota
		internal/redis
		internal/idempotency
		internal/auth
		internal/ledger
		internal/replay
		providers/wire/*
		providers/dialect/fit
		tokenizer/vocab
		tokenizer/scan`,
	"tokenizer/* internal/ledger/book internal/ledger/usage internal/slo/keeper internal/slo/show internal/experiment/results internal/auth/pass internal/store/digests",
	`tokenizer
		internal/experiment/shadow
		internal/health/probe
		internal/store
		providers/dialect
		providers/dialect/member
		providers/dialect/claude
		providers/dialect/*/*
		providers/sign
		internal/quota/*
		internal/health/redis
		internal/idempotency/*
		internal/ledger/*
		internal/alert/channel`,
	`providers/dialect/*
		providers/sign/*
		internal/cache
		internal/guard
		internal/alert
		internal/health/upkeep
		internal/evals/stored
		internal/evals/remote
		internal/template
		internal/ledger/sqlite
		internal/ledger/postgres`,
	`providers
		extproc/checks/mend
		internal/ledger/stores
		internal/outlet
		internal/template/shelf
		internal/override
		internal/forecast
		internal/mock
		internal/cache/*
		internal/guard/*
		internal/idempotency/stores`,
	"providers/*",
	"providers/all routing/match routing/failure",
	"routing",
	"routing/expr",
	"routing/policy internal/config/access internal/config/observe internal/config/objectives",
	`internal/config
		extproc/ticket
		extproc/headers
		extproc/listing
		extproc/living
		extproc/counting
		extproc/metering
		extproc/tagging
		extproc/content
		extproc/checks
		extproc/feedback
		extproc/asking`,
	"extproc/decided extproc/shadowing extproc/course extproc/relay extproc/probing",
	"extproc/exchange internal/config/*",
	`extproc
		envoy
		extproc/observer
		extproc/books
		internal/sending
		internal/evals/gateway
		internal/translate
		internal/tokens`,
	`internal/accounts
		internal/explain
		internal/admin/openapi
		internal/backtest`,
	"internal/admin",
	"internal/control",
	"internal/app",
	"cmd/*",
}

// beside are packages outside the layers: tests and what only tests use. Code that is no test and stands
// outside this list must not import them; they may import anything but commands.
var beside = []struct{ pattern, why string }{
	{"internal/archtest", "reads the source"},
	{"internal/testkit", "what tests share"},
	{"internal/testkit/*", "what tests share"},
	{"routing/sim", "plays traffic for tests"},
	{"providers/providertest", "the contract of provider kinds"},
	{"internal/quota/quotatest", "the contract of quota stores"},
	{"internal/idempotency/storetest", "the contract of stores of answers"},
	{"internal/conformance/*", "proves with other people's programs"},
	{"internal/e2e", "proves on a real Envoy"},
	{"internal/e2e/proof", "proves on real Envoys and databases"},
	{"internal/bench", "measures from outside"},
	{"internal/bench/*", "measures from outside"},
	{"internal/catalog/gen", "writes the embedded registry"},
	{"tokenizer/*/gen", "writes embedded tables"},
	{"deploy", "loads the examples"},
}

// line returns the number of a package's line.
func line(dir string) (n int, ok bool) {
	for n, l := range layers {
		if slices.Contains(strings.Fields(l), dir) {
			return n, true
		}
	}
	for n, l := range layers {
		if slices.ContainsFunc(strings.Fields(l), func(p string) bool { return matches(p, dir) }) {
			return n, true
		}
	}
	return 0, false
}

// matches reports whether a folder fits a pattern.
func matches(pattern, dir string) bool {
	ok, err := path.Match(pattern, dir)
	return err == nil && ok
}

func isBeside(dir string) bool {
	for _, b := range beside {
		if matches(b.pattern, dir) {
			return true
		}
	}
	return false
}

// layering checks the direction of imports.
func layering(t *tree) (out []violation) {
	for _, p := range t.pkgs {
		if isBeside(p.dir) {
			out = append(out, t.besideImports(p)...)
			continue
		}
		own, ok := line(p.dir)
		if !ok {
			if !p.bare() {
				out = append(out, t.at("layers", p.dir, p.files[0].syntax.Package,
					"package %s has no place: put it on a line of layers in internal/archtest/layers_test.go, above everything that it imports", p.dir))
			}
			continue
		}
		for _, f := range p.files {
			for _, i := range f.imports {
				if dir, ok := t.ours(i.path); ok && !f.test {
					out = append(out, t.direction(p.dir, own, dir, i)...)
				}
			}
		}
	}
	return out
}

func (t *tree) direction(from string, own int, to string, i imported) []violation {
	if isBeside(to) {
		return []violation{t.at("layers", from, i.pos, "%s imports %s, which is for tests only: move the importing code to a test", from, to)}
	}
	n, ok := line(to)
	switch {
	case !ok:
		return nil // said where the package itself stands
	case n == own:
		return []violation{t.at("layers", from, i.pos, "%s imports %s of its own line: let a package below both hold what they share, or a package above connect them", from, to)}
	case n > own:
		return []violation{t.at("layers", from, i.pos, "%s imports %s, which stands above it: take an interface or a value from the caller instead", from, to)}
	}
	return nil
}

func (t *tree) besideImports(p *pkg) (out []violation) {
	for _, f := range p.files {
		for _, i := range f.imports {
			if dir, ok := t.ours(i.path); ok && strings.HasPrefix(dir, "cmd/") {
				out = append(out, t.at("layers", p.dir, i.pos, "%s imports the command %s: run it as a program", p.dir, dir))
			}
		}
	}
	return out
}
