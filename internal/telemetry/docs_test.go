package telemetry

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

// traces is what the table does not say.
const traces = `## Traces

With ` + "`telemetry.otlp`" + ` every exchange becomes a span of kind SERVER, and every attempt below it one of kind CLIENT. They are
made when the exchange has ended, from what Envoy's log entries say, on the direct path too; nothing waits for them. An exchange
is part of its client's trace (` + "`traceparent`" + `). The client's sampled flag decides whether it is traced, or ` + "`traces.sample`" + `; with
` + "`traces.errors`" + ` what failed is traced in any case. Providers of ` + "`traces.propagate`" + ` get a traceparent below the attempt's span;
to others neither traceparent nor tracestate goes while exchanges are traced. Every log line of an exchange has its ` + "`trace_id`" + `.

Attributes are those of OpenTelemetry's conventions for generative AI and HTTP, such as ` + "`gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model`, `gen_ai.usage.*`, `server.address`, `error.type`" + `; the rest is ` + "`signalbox.*`" + `:
exchange.id (the request's x-request-id), route, dialect, outcome, target, attempts, provider, region, path, usage.source, organization,
team, project, key, end_user, and ` + "`signalbox.tag.*`" + `. The exchange has the model as the client named it and the usage; an attempt has the
provider's model and address. ` + "`gen_ai.response.model`" + ` is known where Envoy's own filter reads the usage: whole answers of OpenAI's,
Anthropic's and Gemini's APIs. Spans hold no secret, and nothing of the conversation unless ` + "`traces.content`" + ` is on: then prompts
up to 256 KiB, and the first 64 KiB of answers that are translated; other answers do not pass through the service.

An attempt whose log entry reaches another process than the one that planned its exchange has no span; the exchange has one.
What waits to be sent is bounded (` + "`traces.queue`" + `, and 64 MiB); what finds no room, or what the collector does not take within a minute, is
dropped and counted in ` + "`signalbox_telemetry_dropped_total`" + `.

` + "`deploy/grafana/signalbox.json`" + ` is a dashboard, and ` + "`deploy/prometheus/alerts.yaml`" + ` has alert rules; both load as they are.

`

// page is what users read of the table.
func page() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Metrics

`+"`GET /metrics`"+` on the admin address (`+"`listen.admin`"+`) serves them in Prometheus's formats. A scraper that asks for OpenMetrics, as
Prometheus does with `+"`--enable-feature=exemplar-storage`"+`, also gets exemplars: histograms of exchanges and attempts point to
the trace of one of them by `+"`trace_id`"+`. With `+"`telemetry.otlp`"+` they also go out over OTLP, under OpenTelemetry's names. The
page has the metrics of the Go runtime (`+"`go_*`"+`) and the process (`+"`process_*`"+`) too.

No label has a value without a bound. An open label, whose values come from the configuration or from clients, takes
`+"`telemetry.metrics.values`"+` of them (%d); whatever comes later is counted under `+"`other`"+`. A metric has at most
`+"`telemetry.metrics.series`"+` combinations of labels (%d), and beyond that one more of which all labels are `+"`other`"+`. A label
that has nothing to say is `+"`none`"+`. There are no labels of keys, teams or end users: the ledger has those.

Times are of one's own clock and Envoy's. Where a stream does not visit the service, its first byte is that of its head.
Only what is known is counted: usage that nobody reported is in no metric of tokens.

`, DefaultValues, DefaultSeries)
	group := ""
	for _, m := range Table() {
		if m.Group != group {
			group = m.Group
			fmt.Fprintf(&b, "## %s\n\n| Prometheus | OpenTelemetry | kind | unit | labels | |\n|---|---|---|---|---|---|\n", group)
		}
		var ls []string
		for _, l := range m.Labels {
			ls = append(ls, "`"+l+"`")
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s | %s |\n", m.Name, m.OTel, m.Kind, m.Unit, strings.Join(ls, ", "), m.Help)
		if next := after(m.Name); next == "" || next != group {
			b.WriteString("\n")
		}
	}
	b.WriteString(traces)
	b.WriteString("## Labels\n\n| Prometheus | OpenTelemetry | open | |\n|---|---|---|---|\n")
	for _, l := range labels {
		open := ""
		if l.Open {
			open = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", l.Name, l.Attribute, open, l.Help)
	}
	b.WriteString("\n## Buckets\n\n| metric | |\n|---|---|\n")
	for _, m := range Table() {
		if m.Kind == Histogram {
			fmt.Fprintf(&b, "| `%s` | %s |\n", m.Name, strings.Trim(fmt.Sprint(m.Buckets), "[]"))
		}
	}
	return b.String()
}

// after returns the group of the metric that follows.
func after(name string) string {
	all := Table()
	for i := range all[:len(all)-1] {
		if all[i].Name == name {
			return all[i+1].Group
		}
	}
	return ""
}

func TestTheDocumentationSaysWhatTheTableSays(t *testing.T) {
	const path = "../../docs/metrics.md"
	want := page()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("docs/metrics.md is not as the table has it; run the test with -update (-got +want):\n%s", diff)
	}
}

func TestEveryMetricOfTheTableIsMade(t *testing.T) {
	r := prometheus.NewRegistry()
	New(r, Options{})
	for _, m := range Table() {
		desc := prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
		if !describes(r, desc) {
			t.Errorf("%s is in the table, and nothing counts it", m.Name)
		}
	}
}

// describes reports whether a registry has a metric of the description.
func describes(r *prometheus.Registry, d *prometheus.Desc) bool {
	err := r.Register(only{d})
	_, taken := err.(prometheus.AlreadyRegisteredError)
	if err == nil {
		r.Unregister(only{d})
	}
	return taken
}

// only is a collector of a description.
type only struct{ d *prometheus.Desc }

func (o only) Describe(c chan<- *prometheus.Desc) { c <- o.d }
func (only) Collect(chan<- prometheus.Metric)     {}

func TestTheTableIsSound(t *testing.T) {
	names, otel, used := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, m := range Table() {
		if names[m.Name] || otel[m.OTel] {
			t.Errorf("%s (%s) is there twice", m.Name, m.OTel)
		}
		names[m.Name], otel[m.OTel] = true, true
		for _, l := range m.Labels {
			known, ok := FindLabel(l)
			if !ok {
				t.Errorf("%s has the label %s, of which nothing is said", m.Name, l)
			}
			used[known.Name] = true
		}
		if (m.Kind == Histogram) != (len(m.Buckets) > 0) {
			t.Errorf("%s is a %s with buckets %v", m.Name, m.Kind, m.Buckets)
		}
		if m.Kind == Counter != strings.HasSuffix(m.Name, "_total") {
			t.Errorf("%s is a %s", m.Name, m.Kind)
		}
		if (m.Unit == "s") != strings.HasSuffix(strings.TrimSuffix(m.Name, "_total"), "_seconds") {
			t.Errorf("%s is in %s", m.Name, m.Unit)
		}
	}
	attributes := map[string]bool{}
	for i, l := range labels {
		if !used[l.Name] {
			t.Errorf("no metric has the label %s", l.Name)
		}
		if i > 0 && labels[i-1].Name >= l.Name {
			t.Errorf("the label %s is out of order", l.Name)
		}
		if attributes[l.Attribute] {
			t.Errorf("the attribute %s is there twice", l.Attribute)
		}
		attributes[l.Attribute] = true
	}
}
