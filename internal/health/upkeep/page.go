package upkeep

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Page is what is known of all targets, for people. Times are in seconds.
type Page struct {
	Targets []PageTarget `json:"targets"`
	Rests   []PageRest   `json:"rests"`
}

// PageTarget is a target. A figure that is not known is 0, a share of room that is not known is below 0.
type PageTarget struct {
	Provider     string     `json:"provider"`
	Model        string     `json:"model"`
	Success      float64    `json:"success"`    // share
	Weight       float64    `json:"weight"`     // attempts that the figures rest on
	First        [2]float64 `json:"first_byte"` // p50, p95
	Total        [2]float64 `json:"total"`
	PerToken     float64    `json:"per_token"`
	Output       float64    `json:"output_tokens"` // of an answer, mean
	Cached       float64    `json:"cached"`        // share of prompts
	InFlight     int64      `json:"in_flight"`
	Share        float64    `json:"share"` // of the traffic that its breakers let in
	RoomRequests float64    `json:"room_requests"`
	RoomTokens   float64    `json:"room_tokens"`
	Keys         []PageKey  `json:"keys,omitzero"`
	Probe        *PageProbe `json:"probe,omitzero"` // the last; nil: none of late
}

// PageProbe is a probe that ended.
type PageProbe struct {
	Key    string  `json:"key"`
	Ago    float64 `json:"ago"`
	Result string  `json:"result"` // ok, or the class of its error
	Harm   bool    `json:"harm"`   // that was by the target's fault
}

// PageKey is a key whose breaker is not closed.
type PageKey struct {
	Key   string  `json:"key"`
	State string  `json:"state"`
	Share float64 `json:"share"`
	Left  float64 `json:"left"` // until it is tried
}

// PageRest is a key that rests, because the provider asked for it.
type PageRest struct {
	Provider string  `json:"provider"`
	Model    string  `json:"model,omitzero"` // "": all
	Key      string  `json:"key"`
	Left     float64 `json:"left"`
}

// page is what is known at a time.
func (u *Upkeep) page(now time.Time) Page {
	p := Page{Targets: []PageTarget{}, Rests: []PageRest{}}
	for _, s := range u.p.Known.Targets.All(now) {
		t := PageTarget{
			Provider: s.Provider, Model: s.Model, Success: s.Success, Weight: s.Weight, PerToken: s.PerToken.Seconds(), Output: s.Output, Cached: s.Cached, InFlight: s.InFlight, Share: s.Share,
			First: [2]float64{s.First.P50.Seconds(), s.First.P95.Seconds()}, Total: [2]float64{s.Total.P50.Seconds(), s.Total.P95.Seconds()}, RoomRequests: s.Room.Requests, RoomTokens: s.Room.Tokens,
		}
		for _, k := range s.Keys {
			t.Keys = append(t.Keys, PageKey{k.Key, k.State.String(), k.Share, max(0, k.Until.Sub(now).Seconds())})
		}
		if x := s.Probed; !x.At.IsZero() {
			t.Probe = &PageProbe{x.Key, max(0, now.Sub(x.At).Seconds()), cmp.Or(x.What, "ok"), x.Harm}
		}
		p.Targets = append(p.Targets, t)
	}
	for _, r := range u.p.Known.Rests.All(now) {
		p.Rests = append(p.Rests, PageRest{r.Provider, r.Model, r.Key, r.Until.Sub(now).Seconds()})
	}
	return p
}

// ServeHTTP writes the Page as JSON.
func (u *Upkeep) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	body, err := jsonx.Encode(u.page(time.Now()))
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("content-type", "application/json")
	_, _ = w.Write(append(body, '\n'))
}

// WriteTable writes a Page for people to read.
func WriteTable(w io.Writer, data []byte) error {
	var p Page
	if err := jsonx.Decode(data, &p); err != nil {
		return fmt.Errorf("the page of targets: %w", err)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TARGET\tSTATE\tSUCCESS\tOF\tFIRST P50\tP95\tTOKEN\tIN FLIGHT\tROOM\tPROBED")
	for i := range p.Targets {
		x := &p.Targets[i]
		room := x.RoomRequests
		if room < 0 || x.RoomTokens >= 0 && x.RoomTokens < room {
			room = x.RoomTokens
		}
		fmt.Fprintf(t, "%s/%s\t%s\t%.1f %%\t%.0f\t%s\t%s\t%s\t%d\t%s\t%s\n", x.Provider, x.Model, x.state(), 100*x.Success, x.Weight, seconds(x.First[0]), seconds(x.First[1]), seconds(x.PerToken), x.InFlight, percent(room), x.Probe)
	}
	for _, r := range p.Rests {
		model := r.Model
		if model == "" {
			model = "*"
		}
		fmt.Fprintf(t, "%s/%s\tkey %s rests for %.0f s\n", r.Provider, model, name(r.Key), r.Left)
	}
	return t.Flush()
}

// state is that of the target's breakers in a few words.
func (x *PageTarget) state() string {
	var parts []string
	for _, k := range x.Keys {
		s := k.State
		if k.State == "open" {
			s += fmt.Sprintf(" for %.0f s", k.Left)
		}
		if k.State == "closing" {
			s += " (" + percent(k.Share) + ")"
		}
		if k.Key != "" && (len(x.Keys) > 1 || x.Share == 1) {
			s = k.Key + " " + s
		}
		parts = append(parts, s)
	}
	if parts == nil {
		return "closed"
	}
	return strings.Join(parts, ", ")
}

// String says what came of it and when, in a few words.
func (p *PageProbe) String() string {
	if p == nil {
		return "-"
	}
	return fmt.Sprintf("%s %s ago", p.Result, time.Duration(p.Ago*float64(time.Second)).Round(time.Second))
}

func name(key string) string {
	if key == "" {
		return "(none)"
	}
	return key
}

func percent(share float64) string {
	if share < 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond).String()
}
