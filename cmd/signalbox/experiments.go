package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// experimentsCmd manages the experiments of a running service.
type experimentsCmd struct {
	List    experimentList    `cmd:"" help:"List experiments with their state."`
	Show    experimentShow    `cmd:"" help:"Show what came of one: each arm, and how it differs from the control."`
	Start   experimentStart   `cmd:"" help:"Assign requests by the weights of the configuration."`
	Stop    experimentStop    `cmd:"" help:"Give every request the route as it is without the experiment."`
	Promote experimentPromote `cmd:"" help:"Give every request one arm."`
}

type experimentsAPI = adminv1connect.ExperimentServiceClient

// showExperiment shows one as it stands.
func showExperiment(w io.Writer, e *v1.Experiment) {
	fieldLines(w, "name", e.Name, "route", e.Route, "by", e.By, "state", e.State, "arm", e.Arm, "why", e.Why, "changed", moment(e.Stamp.GetChanged()), "version", versionOf(e.Stamp))
}

type experimentList struct{ apiFlags }

// Run asks the admin API.
func (c *experimentList) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewExperimentServiceClient, experimentsAPI.ListExperiments, &v1.ListExperimentsRequest{}, func(w io.Writer, r *v1.ListExperimentsResponse) {
		var rows [][]string
		for _, e := range r.Experiments {
			var arms []string
			for _, a := range e.Arms {
				arms = append(arms, a.Name+":"+strconv.Itoa(int(a.Weight)))
			}
			rows = append(rows, []string{e.Name, e.Route, e.By, strings.TrimSpace(e.State + " " + e.Arm), strings.Join(arms, ",")})
		}
		columns(w, "NAME ROUTE BY STATE ARMS", rows)
	})
}

type experimentShow struct {
	named
	From  string `placeholder:"TIME" help:"Exchanges from then on: 2026-08-01, 2026-08-01T12:00:00Z, or 7d, 12h, 30m ago. 30 days ago if not said."`
	Until string `placeholder:"TIME" help:"Exchanges before then. Now, if not said."`
}

// Run asks the admin API.
func (c *experimentShow) Run(s streams) error {
	r := &v1.GetExperimentRequest{Name: c.Name}
	now := time.Now().UTC()
	for _, t := range []struct {
		flag, value string
		to          **timestamppb.Timestamp
	}{{"--from", c.From, &r.From}, {"--until", c.Until, &r.Until}} {
		if t.value == "" {
			continue
		}
		v, err := when(t.value, now)
		if err != nil {
			return fmt.Errorf("%s: %w", t.flag, err)
		}
		*t.to = timestamppb.New(v)
	}
	return call(&c.apiFlags, s, adminv1connect.NewExperimentServiceClient, experimentsAPI.GetExperiment, r, showResult)
}

// showResult shows what came of an experiment.
func showResult(w io.Writer, r *v1.GetExperimentResponse) {
	showExperiment(w, r.Experiment)
	for _, a := range r.Experiment.Arms {
		if says := strings.TrimSpace(a.Template + " " + strings.Join(a.Parameters, " ")); says != "" {
			fmt.Fprintf(w, "%s: %s\n", a.Name, says)
		}
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, a := range r.Arms {
		rows = append(rows, []string{
			a.Name, strconv.FormatInt(a.Exchanges, 10), strconv.FormatInt(a.Units, 10), estimate(a.Success, 100, 1, a.Exchanges), estimate(a.CostUsd, 1000, 4, a.Exchanges),
			estimate(a.TookSeconds, 1, 2, a.Exchanges), strconv.FormatFloat(a.TookP95Seconds, 'f', 2, 64), estimate(a.FirstSeconds, 1, 2, a.Exchanges),
			strconv.FormatFloat(a.Input, 'f', 0, 64), strconv.FormatFloat(a.Output, 'f', 0, 64), estimate(a.Score, 1, 2, a.Scored),
		})
	}
	columns(w, "ARM EXCHANGES UNITS SUCCESS% USD/1000 SECONDS P95 FIRST INPUT OUTPUT SCORE", rows)
	fmt.Fprintln(w)
	for _, c := range r.Comparisons {
		fmt.Fprintf(w, "%s: %s\n", c.Arm, c.Conclusion)
	}
	if r.Truncated {
		fmt.Fprintln(w, "only the newest 200000 records were read; ask for a shorter time with --from")
	}
}

// estimate writes a value with its interval, times a factor.
func estimate(i *v1.Interval, times float64, digits int, n int64) string {
	if n == 0 || i == nil {
		return ""
	}
	one := func(v float64) string { return strconv.FormatFloat(v*times, 'f', digits, 64) }
	if i.Low == nil || i.High == nil {
		return one(i.Value)
	}
	return one(i.Value) + " (" + one(*i.Low) + ".." + one(*i.High) + ")"
}

// changedExperiment says which experiment is changed, and why.
type changedExperiment struct {
	named
	versioned
	Why string `help:"Why, for whoever looks at it later."`
}

func (c *changedExperiment) request() *v1.ChangeExperimentRequest {
	return &v1.ChangeExperimentRequest{Name: c.Name, Version: c.Version, Why: c.Why}
}

type experimentStart struct{ changedExperiment }

// Run asks the admin API.
func (c *experimentStart) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewExperimentServiceClient, experimentsAPI.StartExperiment, c.request(), showExperiment)
}

type experimentStop struct{ changedExperiment }

// Run asks the admin API.
func (c *experimentStop) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewExperimentServiceClient, experimentsAPI.StopExperiment, c.request(), showExperiment)
}

type experimentPromote struct {
	changedExperiment
	Arm string `arg:"" help:"The arm that every request gets."`
}

// Run asks the admin API.
func (c *experimentPromote) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewExperimentServiceClient, experimentsAPI.PromoteExperiment, &v1.PromoteExperimentRequest{Name: c.Name, Arm: c.Arm, Version: c.Version, Why: c.Why}, showExperiment)
}
