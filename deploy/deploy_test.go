// Package deploy checks what operators load as it is: the dashboard of Grafana and the alert rules of Prometheus. The
// example configurations beside them are loaded by the tests of cmd/signalbox.
package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// dashboard is a dashboard of Grafana, as far as it is checked.
type dashboard struct {
	Title      string `json:"title"`
	UID        string `json:"uid"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Panels []struct {
		ID      int    `json:"id"`
		Type    string `json:"type"`
		Title   string `json:"title"`
		GridPos struct {
			H int `json:"h"`
			W int `json:"w"`
			X int `json:"x"`
			Y int `json:"y"`
		} `json:"gridPos"`
		Targets []struct {
			Expr         string `json:"expr"`
			LegendFormat string `json:"legendFormat"`
		} `json:"targets"`
	} `json:"panels"`
}

// rules is a file of alert rules.
type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile("grafana/signalbox.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := jsonx.Decode(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func readRules(t *testing.T) rules {
	t.Helper()
	text, err := os.ReadFile("prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var r rules
	if err := yaml.UnmarshalWithOptions(text, &r, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return r
}

var (
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	metric   = regexp.MustCompile(`\b((?:signalbox|gen_ai|go|process)_[a-z0-9_]+)\b(\{[^}]*\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
)

// target are the labels that Prometheus adds.
var target = []string{"job", "instance", "le"}

// wrong says what an expression names that nothing counts.
func wrong(expr string) (faults []string) {
	var grouped []string
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(g[1], ",") {
			grouped = append(grouped, strings.TrimSpace(l))
		}
	}
	found := metric.FindAllStringSubmatch(grouping.ReplaceAllString(expr, ""), -1)
	if len(found) == 0 {
		return []string{"no metric"}
	}
	for _, m := range found {
		if strings.HasPrefix(m[1], "go_") || strings.HasPrefix(m[1], "process_") {
			continue
		}
		row, ok := row(m[1])
		if !ok {
			faults = append(faults, "no metric "+m[1])
			continue
		}
		used := slices.Clone(grouped)
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			used = append(used, l[1])
			if l[1] == "code" {
				faults = append(faults, unknownCodes(l[2])...)
			}
		}
		for _, l := range used {
			if l != "" && !slices.Contains(target, l) && !slices.Contains(row.Labels, l) {
				faults = append(faults, m[1]+" has no label "+l)
			}
		}
		if strings.HasSuffix(m[1], "_bucket") && !slices.Contains(grouped, "le") {
			faults = append(faults, m[1]+" without le")
		}
	}
	return faults
}

// unknownCodes are the error classes of an alternation that there are not.
func unknownCodes(alternation string) (faults []string) {
	var known []string
	for c := llm.CodeNone; c <= llm.CodeInternal; c++ {
		known = append(known, c.String())
	}
	for c := range strings.SplitSeq(alternation, "|") {
		if !slices.Contains(known, c) {
			faults = append(faults, "no error class "+c)
		}
	}
	return faults
}

// row finds the metric of a name in expressions.
func row(name string) (telemetry.Metric, bool) {
	for _, m := range telemetry.Table() {
		if m.Kind == telemetry.Histogram {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if name == m.Name+suffix {
					return m, true
				}
			}
		} else if name == m.Name {
			return m, true
		}
	}
	return telemetry.Metric{}, false
}

func TestTheDashboardShowsWhatIsCounted(t *testing.T) {
	d := readDashboard(t)
	if d.Title != "Signalbox" || d.UID == "" {
		t.Errorf("title %q, uid %q", d.Title, d.UID)
	}
	ids, variables, shown := map[int]bool{}, []string{"__rate_interval", "__range"}, 0
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if v.Definition == "" {
			continue
		}
		name, label, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(v.Definition, "label_values("), ")"), ", ")
		if m, ok := row(name); !ok || !slices.Contains(append(m.Labels, target...), label) {
			t.Errorf("variable %s asks for %s", v.Name, v.Definition)
		}
	}
	area := map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d (%s) is there twice, or has no title", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if over := area[[2]int{x, y}]; over != "" || x >= 24 {
					t.Fatalf("panel %s lies over %s, or beyond the edge", p.Title, over)
				}
				area[[2]int{x, y}] = p.Title
			}
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %s shows nothing", p.Title)
		}
		for _, q := range p.Targets {
			shown++
			for _, fault := range wrong(q.Expr) {
				t.Errorf("panel %s: %s in %s", p.Title, fault, q.Expr)
			}
			for _, v := range regexp.MustCompile(`\$([a-z_]+)`).FindAllStringSubmatch(q.Expr, -1) {
				if !slices.Contains(variables, v[1]) {
					t.Errorf("panel %s: no variable %s", p.Title, v[1])
				}
			}
			for _, l := range regexp.MustCompile(`{{([a-z_]+)}}`).FindAllStringSubmatch(q.LegendFormat, -1) {
				if !strings.Contains(q.Expr, l[1]) {
					t.Errorf("panel %s: the legend shows %s, which is summed up", p.Title, l[1])
				}
			}
		}
	}
	if shown < 40 {
		t.Errorf("only %d expressions", shown)
	}
}

func TestAlertsAreAboutWhatIsCounted(t *testing.T) {
	names := map[string]bool{}
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if names[r.Alert] || !strings.HasPrefix(r.Alert, "Signalbox") {
				t.Errorf("%s: %s is there twice, or is not ours by its name", g.Name, r.Alert)
			}
			names[r.Alert] = true
			for _, fault := range wrong(r.Expr) {
				t.Errorf("%s: %s in %s", r.Alert, fault, r.Expr)
			}
			if s := r.Labels["severity"]; s != "page" && s != "warn" {
				t.Errorf("%s has severity %q", r.Alert, s)
			}
			if r.Annotations["summary"] == "" {
				t.Errorf("%s does not say what is wrong", r.Alert)
			}
			for _, a := range r.Annotations {
				for _, l := range regexp.MustCompile(`\$labels\.([a-z_]+)`).FindAllStringSubmatch(a, -1) {
					if !strings.Contains(r.Expr, l[1]) && l[1] != "instance" {
						t.Errorf("%s speaks of the label %s, which is summed up", r.Alert, l[1])
					}
				}
			}
		}
	}
	if len(names) < 15 {
		t.Errorf("only %d alerts", len(names))
	}
}

func TestWhatIsNotCountedIsFound(t *testing.T) {
	for expr, want := range map[string]string{
		`rate(signalbox_exchange_total[5m])`:                        "no metric signalbox_exchange_total",
		`sum by (team) (signalbox_live_exchanges)`:                  "signalbox_live_exchanges has no label team",
		`rate(signalbox_exchanges_total{provider="a"}[5m])`:         "signalbox_exchanges_total has no label provider",
		`rate(signalbox_plan_duration_seconds[5m])`:                 "no metric signalbox_plan_duration_seconds",
		`sum(rate(signalbox_plan_duration_seconds_bucket[5m]))`:     "signalbox_plan_duration_seconds_bucket without le",
		`rate(signalbox_errors_total{code=~"internal|broken"}[5m])`: "no error class broken",
		`vector(1)`: "no metric",
	} {
		if got := wrong(expr); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

// TestPrometheusLoadsTheRules asks Prometheus's own tool, where it is there, about the rules and about every expression
// of the dashboard. SIGNALBOX_REQUIRE_PROMTOOL=1 makes its absence an error.
func TestPrometheusLoadsTheRules(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("SIGNALBOX_REQUIRE_PROMTOOL") == "1" {
			t.Fatal("promtool is absent (Debian package prometheus), and SIGNALBOX_REQUIRE_PROMTOOL=1 asks for it")
		}
		t.Skip("promtool is absent (Debian package prometheus)")
	}
	var b strings.Builder
	b.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	n := 0
	values := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$route", ".*", "$provider", ".*", "$job", ".*")
	for _, p := range readDashboard(t).Panels {
		for _, q := range p.Targets {
			n++
			fmt.Fprintf(&b, "      - { record: \"panel:%d\", expr: %q }\n", n, values.Replace(q.Expr))
		}
	}
	panels := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(panels, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"prometheus/alerts.yaml", panels} {
		if out, err := exec.CommandContext(t.Context(), tool, "check", "rules", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}
