package explain

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Write writes the report for people.
func (r *Report) Write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if r.Again != nil && r.Request.Asked == "" { // of the admin API: its record tells of the request
		fmt.Fprintf(w, "decided again\twith seed %d\n", r.Seed)
	} else {
		r.head(w)
	}
	fmt.Fprintln(w, "\nROUTE\tTAKES IT\tWHY NOT")
	for _, t := range r.Routes {
		fmt.Fprintf(w, "%s\t%s\t%s\n", t.Name, yes(t.Takes), dash(t.Why))
	}
	if r.Arm != "" {
		fmt.Fprintf(w, "\nArm of an experiment: %s\n", r.Arm)
		for _, l := range r.Unset {
			fmt.Fprintf(w, "  %s of the arm is not set: %s\n", l.Path, l.Why)
		}
	}
	if len(r.Targets) > 0 {
		r.targets(w)
	}
	for i := range r.Policies {
		r.Policies[i].write(w)
	}
	if len(r.Unusable) > 0 {
		fmt.Fprintln(w, "\nLEFT OUT OR LAST\tWHY")
		for _, d := range r.Unusable {
			fmt.Fprintf(w, "%s\t%s\n", d.Target, d.Why)
		}
	}
	if r.Again != nil {
		r.again(w)
	} else if len(r.Plan) > 0 {
		fmt.Fprintln(w, "\nATTEMPT\tTARGET\tKEY\tDIALECT\tPATH\tFORCED BY")
		for i, s := range r.Plan {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", i+1, s.Target, dash(s.Key), dash(s.Speaks), s.Path, dash(s.Forced))
		}
	}
	if r.LeastBad {
		fmt.Fprintln(w, "\nNo target is well: they are tried all the same.")
	}
	if len(r.Limits) > 0 {
		fmt.Fprintln(w, "\nLIMIT OF\tUNIT\tLIMIT\tWINDOW\tID")
		for _, l := range r.Limits {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.Owner, l.Unit, l.amount(), l.Window, l.ID)
		}
	}
	if r.Refused != nil && r.Again != nil {
		fmt.Fprintf(w, "\nHere it is refused: %s\n", r.Refused.Message)
	} else if r.Refused != nil {
		fmt.Fprintf(w, "\nThe request is refused (%s): %s\n", r.Refused.Code, r.Refused.Message)
	}
	return w.Flush()
}

// again writes the plan of an exchange that is decided again, and how far it can be trusted.
func (r *Report) again(w io.Writer) {
	if len(r.Plan) > 0 {
		fmt.Fprintln(w, "\nATTEMPT\tTARGET")
	}
	for i, s := range r.Plan {
		fmt.Fprintf(w, "%d\t%s\n", i+1, s.Target)
	}
	a := r.Again
	fmt.Fprintf(w, "\nCONFIGURATION THEN\tNOW\n%s\t%s\n", dash(a.Then), dash(a.Now))
	for _, t := range []struct {
		head string
		all  []string
	}{{"NOT KNOWN ANY MORE", a.Unknown}, {"NOT AS IT WAS", a.Differences}} {
		if len(t.all) > 0 {
			fmt.Fprintf(w, "\n%s\n  %s\n", t.head, strings.Join(t.all, "\n  "))
		}
	}
}

// head writes what is known of the request.
func (r *Report) head(w io.Writer) {
	q := &r.Request
	model := q.Asked
	if q.Resolved != "" {
		model += " → " + q.Resolved
	}
	how := strings.TrimSpace(q.Dialect + " " + q.Operation)
	if q.Stream {
		how += ", stream"
	}
	var tags []string
	for _, n := range slices.Sorted(maps.Keys(q.Tags)) {
		tags = append(tags, n+"="+q.Tags[n])
	}
	most := ""
	if q.Output > 0 {
		most = strconv.FormatInt(q.Output, 10) + " tokens"
	}
	for _, l := range [][2]string{
		{"model", model}, {"request", how}, {"at", q.At.Format(time.RFC3339)}, {"body", strconv.FormatInt(q.Bytes, 10) + " bytes"}, {"longest answer", most}, {"needs", strings.Join(q.Needs, ", ")},
		{"organization", q.Organization}, {"team", q.Team}, {"project", q.Project}, {"key", q.Key}, {"end user", q.EndUser}, {"tags", strings.Join(tags, " ")},
		{"seed", strconv.FormatUint(r.Seed, 10)},
	} {
		if l[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", l[0], l[1])
		}
	}
}

func (r *Report) targets(w io.Writer) {
	fmt.Fprintln(w, "\nTARGET\tPROMPT\tANSWER\tCOST $\tFIRST\tTOTAL\tWENT WELL\tLOSES")
	for i := range r.Targets {
		t := &r.Targets[i]
		cost, loses := "no price", "-"
		if t.Cost != nil {
			cost = t.Cost.String()
		}
		if t.Cannot != "" {
			loses = "cannot: " + t.Cannot
		} else if len(t.Losses) > 0 {
			var paths []string
			for _, l := range t.Losses {
				paths = append(paths, l.Path)
			}
			loses = strings.Join(paths, ", ")
		}
		well := "not tried"
		if t.Weight > 0 {
			well = strconv.FormatFloat(t.Success*100, 'f', 1, 64) + " %"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", t.Name, t.Prompt, t.Answer, cost, millis(t.First), millis(t.Takes), well, loses)
	}
}

func (p *Policy) write(w io.Writer) {
	fmt.Fprintf(w, "\nPOLICY %s\tSCORE\n", p.Name)
	for _, name := range p.Out {
		fmt.Fprintf(w, "  %s\t%s\n", name, dash(p.score(name)))
	}
	for _, d := range p.Dropped {
		fmt.Fprintf(w, "  - %s\tleft out: %s\n", d.Target, d.Why)
	}
}

// score is what the policy thinks of a target; "": it says nothing.
func (p *Policy) score(target string) string {
	var all []string
	for _, s := range p.Scores {
		if s.Target == target {
			all = append(all, s.Score)
		}
	}
	return strings.Join(all, "; ")
}

// amount is the limit as people write it.
func (l *Limit) amount() string {
	if l.Unit == quota.Money.String() {
		return ledger.Nano(l.Limit).String() + " $"
	}
	return strconv.FormatInt(l.Limit, 10)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func millis(n int64) string {
	if n == 0 {
		return "-"
	}
	return (time.Duration(n) * time.Millisecond).String()
}
