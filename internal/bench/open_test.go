package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestExchangesAreComparedWithTheServicesMetrics(t *testing.T) {
	const before = "# HELP signalbox_paths_total x\nsignalbox_paths_total{path=\"direct\"} 1\nsignalbox_exchanges_total{dialect=\"openai-chat\",outcome=\"ok\",route=\"direct\"} 1\nsignalbox_live_exchanges 0\n"
	after := strings.NewReplacer("} 1", "} 4").Replace(before)
	page := before
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) }))
	defer s.Close()
	r := &row{admin: s.Listener.Addr().String(), path: "direct"}
	was, err := r.metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, page, want string }{
		{"all ended well", after, ""},
		{"one went another way", after + "signalbox_paths_total{path=\"worked\"} 1\n", "1 exchanges went the worked path, not direct"},
	} {
		page = c.page
		if err := r.told(t.Context(), was, 3); (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	for _, c := range []struct{ name, page, want string }{
		{"too few", strings.Replace(after, "\"direct\"} 4", "\"direct\"} 3", 1), "of 3 exchanges 2 went"},
		{"one failed", after + "signalbox_exchanges_total{dialect=\"openai-chat\",outcome=\"cut\",route=\"direct\"} 1\n", "3 ended well"},
		{"one is open", strings.Replace(after, "exchanges 0", "exchanges 1", 1), "and 1 are open"},
	} {
		page = c.page
		if err := r.counted(t.Context(), was, 3); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestNumbersOfStreamsAreRead(t *testing.T) {
	for text, want := range map[string]int{"100": 1, "100, 10000": 2, "": 0, "0": 0, "1,x": 0} {
		if got, err := (openOptions{streams: text}).counts(); len(got) != want && err == nil || (err == nil) != (want > 0) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
}
