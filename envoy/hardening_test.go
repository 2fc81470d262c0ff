package envoy

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// at walks a document: names, and numbers for elements of lists.
func at(t *testing.T, doc any, path string) any {
	t.Helper()
	for step := range strings.SplitSeq(path, "/") {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[step]
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(v) {
				return nil
			}
			doc = v[i]
		default:
			return nil
		}
	}
	return doc
}

// sections are where the lines of testdata/hardening.txt stand.
func sections() map[string]string {
	const (
		listener = "static_resources/listeners/0/"
		chain    = listener + "filter_chains/0/"
		hcm      = chain + "filters/0/typed_config/"
		upstream = hcm + "http_filters/3/typed_config/upstream_http_filters/"
		vhost    = hcm + "route_config/virtual_hosts/0/"
		exact    = "xds_matcher/matcher_tree/exact_match_map/map/"
		run      = "action/typed_config/typed_config/typed_config/"
	)
	return map[string]string{
		"root":     "",
		"listener": listener,
		"hcm":      hcm,
		"server":   chain + "transport_socket/typed_config/",
		"limit":    hcm + "http_filters/1/typed_config/",
		"plan":     hcm + "http_filters/2/typed_config/",
		"attempt":  upstream + "0/typed_config/",
		"watch":    upstream + "0/typed_config/" + exact + "1/matcher/matcher_tree/exact_match_map/map/1/" + run,
		"work":     upstream + "0/typed_config/xds_matcher/on_no_match/" + run,
		"rework":   upstream + "0/typed_config/" + exact + "0/matcher/on_no_match/" + run,
		"listen":   upstream + "0/typed_config/" + exact + "3/" + run,
		"usage":    upstream + "1/typed_config/",
		"vhost":    vhost,
		"route":    vhost + "routes/3/route/",
		"service":  "static_resources/clusters/0/",
		"provider": "static_resources/clusters/7/",
	}
}

// TestEachHardeningLineIsThere keeps what protects Envoy and the credentials from being lost.
func TestEachHardeningLineIsThere(t *testing.T) {
	lines, err := os.ReadFile("testdata/hardening.txt")
	if err != nil {
		t.Fatal(err)
	}
	static, err := Static(full())
	if err != nil {
		t.Fatal(err)
	}
	boot, err := Bootstrap(full())
	if err != nil {
		t.Fatal(err)
	}
	var docs [2]any
	for i, b := range [][]byte{static, boot} {
		if err := yaml.Unmarshal(b, &docs[i]); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for line := range strings.Lines(string(lines)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		place, want, ok := strings.Cut(line, " = ")
		section, path, ok2 := strings.Cut(place, " ")
		prefix, ok3 := sections()[section]
		if !ok || !ok2 || !ok3 {
			t.Fatalf("testdata/hardening.txt: cannot read %q", line)
		}
		n++
		for i, doc := range docs {
			if i == 1 && section != "root" {
				continue // the bootstrap has the frame alone
			}
			if got := fmt.Sprint(at(t, doc, prefix+path)); got != want {
				t.Errorf("%s is %s, want %s", place, got, want)
			}
		}
	}
	if n < 60 {
		t.Errorf("testdata/hardening.txt has only %d lines", n)
	}
}
