package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/config/objectives"
	"github.com/signalbox-ai/signalbox/internal/health/probe"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/expr"
)

// checkRoute checks one route.
func (d *decoder) checkRoute(c *Config, i int) {
	r, path := &c.Routes[i], fmt.Sprintf("routes[%d]", i)
	d.checkHandling(&r.Handling, path)
	if t := r.Match.Tokens; t.Max > 0 && t.Min > t.Max {
		d.fail(path+".match.tokens", "tokens: min (%d) is over max (%d)", t.Min, t.Max)
	}
	if w := &r.Match; w.When != "" && !d.bad[path+".match.when"] {
		var err error
		if w.when, err = expr.Condition(w.When, expr.OfRequests); err != nil {
			d.failExpr(path+".match.when", "", err)
		}
	}
	if r.Match.empty() && !r.ClientHeaders.Route && !d.within(path+".match") {
		d.fail(path+".match", "match.models is missing: no request would take the route")
	}
	d.checkTargets(c, r, path)
}

// checkTargets checks the targets of a route, or of an arm that has its own.
func (d *decoder) checkTargets(c *Config, r *Route, path string) {
	weighted, sum, seen := false, 0, map[string]bool{}
	for j := range r.Targets {
		t, at := &r.Targets[j], fmt.Sprintf("%s.targets[%d]", path, j)
		weighted = weighted || d.has(at+".weight")
		if t.Target == "" || d.bad[at+".target"] {
			continue
		}
		t.Provider, t.Model, _ = strings.Cut(t.Target, "/")
		d.checkTarget(c, t, at)
		if seen[t.Target] {
			d.fail(at+".target", "the target %s is given twice", d.src.quote(t.Target))
		}
		seen[t.Target] = true
	}
	for j := range r.Targets {
		t, at := &r.Targets[j], fmt.Sprintf("%s.targets[%d].weight", path, j)
		if weighted && d.nodes[at] == nil {
			t.Weight = 1
		}
		sum += t.Weight
	}
	switch {
	case d.within(path + ".targets"):
	case weighted && sum == 0:
		d.fail(path+".targets", "every weight is 0; leave weights out for the order written")
	case len(r.Policy) == 0 && d.steps(r) > routing.MaxSteps && r.Failover.Attempts == 0:
		d.fail(path+".targets", "targets and their keys make %d attempts and the most is %d; name fewer targets, or set failover.attempts", d.steps(r), routing.MaxSteps)
	}
}

// provided is what the targets of all routes ask of providers. It is made once all of those were checked.
type provided struct {
	at    map[string]int // the first of a name
	tries map[string]int // how many attempts the keys of the last of a name are good for
}

func (d *decoder) provide(c *Config) {
	d.provided = provided{map[string]int{}, map[string]int{}}
	for i := range c.Providers {
		p := &c.Providers[i]
		if _, twice := d.at[p.Name]; !twice {
			d.at[p.Name] = i
		}
		d.tries[p.Name] = min(routing.KeysPerTarget, max(1, len(p.Refs())))
	}
}

// steps counts the attempts that a plan for the route would have if nothing bounded it.
func (d *decoder) steps(r *Route) (n int) {
	for i := range r.Targets {
		n += max(1, d.tries[r.Targets[i].Provider])
	}
	return n
}

// checkTarget finds the provider of a target.
func (d *decoder) checkTarget(c *Config, t *Target, at string) {
	p, known := d.at[t.Provider]
	switch {
	case known:
		if t.Like != "" && !c.Providers[p].declares(t.Like) {
			d.checkLike(t.Like, c.Providers[p].Kind, at+".like")
		}
	case !d.bad["providers"]:
		var names []string
		for i := range c.Providers {
			names = append(names, c.Providers[i].Name)
		}
		d.fail(at+".target", "unknown provider %s%s", d.src.quote(t.Provider), d.near(t.Provider, names))
	}
}

// checkReserved keeps the name of the route of probes for them, whether there are any or not: records of it are the gateway's own.
func (d *decoder) checkReserved(c *Config) {
	names := map[string]string{}
	for i := range c.Routes {
		names[fmt.Sprintf("routes[%d].name", i)] = c.Routes[i].Name
	}
	for i := range c.Providers {
		if len(c.Routes) == 0 { // each provider has a route of its name
			names[fmt.Sprintf("providers[%d].name", i)] = c.Providers[i].Name
		}
	}
	for at, name := range names {
		if name == probe.Route {
			d.fail(at, "name: %s is the route of probes", d.src.quote(name))
		}
	}
}

// checkBare refuses sections without what they cannot do without. Such a section would change nothing, and nobody would be told.
// One whose other fields are wrong is told of those first.
func (d *decoder) checkBare(c *Config) {
	for _, s := range [...]struct{ section, field, means string }{
		{"idempotency", "store", "where answers are kept, as memory or the address of a Redis; or none"},
		{"ledger", "store", "where records are kept, as sqlite:run/ledger.db or postgres://USER@HOST/DATABASE; or none"},
		{"queue", "wait", "how long a request may wait for room, as 30s"},
		{"alerts", "channels", "whom to tell, as [ { name: ops, slack: { url: \"env:SLACK_URL\" } } ]"},
		{"telemetry.otlp", "endpoint", "the collector's address, as http://127.0.0.1:4317"},
	} {
		if d.sound(s.section) && d.nodes[s.section+"."+s.field] == nil {
			d.fail(s.section+"."+s.field, "%s is missing: %s", s.field, s.means)
		}
	}
	for _, s := range [...]struct {
		section string
		bare    bool
		message string
	}{
		{"evals", !c.Stores() && !d.within("store"), "evals: runs are kept in a store, and there is none; add one, as store: \"sqlite:run/signalbox.db\""},
		{"tags", !c.Tags.Any(), "nothing becomes a tag: name headers or metadata"},
		{"end_user", c.EndUser.Header == "" && len(c.EndUser.Body) == 0, "no end user is read: name a header or members of the body"},
		{"telemetry.traces", c.Telemetry.Traces.Export && !c.Telemetry.Traced() && !d.within("telemetry"), "traces: are sent to a collector, and there is none; add one, as otlp: { endpoint: \"http://127.0.0.1:4317\" }"},
	} {
		if s.bare && d.sound(s.section) {
			d.fail(s.section, "%s", s.message)
		}
	}
}

// sound reports whether the file has a section, and no error was found in it.
func (d *decoder) sound(section string) bool { return d.nodes[section] != nil && !d.within(section) }

// near asks whether the nearest of names was meant.
func (d *decoder) near(name string, names []string) string {
	if near := routing.Nearest(name, names); len(near) > 0 {
		return fmt.Sprintf("; did you mean %s?", d.src.quote(near[0]))
	}
	return ""
}

// checkObjectives checks what is promised.
func (d *decoder) checkObjectives(c *Config) {
	unique(d, "slos", "objective", c.SLOs, func(l objectives.List) string { return l.Name })
	var names []string
	for i := range c.Routes {
		names = append(names, c.Routes[i].Name)
		path := fmt.Sprintf("routes[%d].slo", i)
		d.checkGoals(c, &c.Routes[i].SLO, path)
		d.checkPromised(&c.Routes[i].SLO, path)
	}
	for i := range c.SLOs {
		l, path := &c.SLOs[i], fmt.Sprintf("slos[%d]", i)
		if slices.Contains(names, l.Name) && !d.within(path) {
			d.fail(path+".name", "name: the route %s has its own under this name", d.src.quote(l.Name))
		}
		for j, r := range l.Routes {
			if at := fmt.Sprintf("%s.routes[%d]", path, j); !slices.Contains(names, r) && !d.bad[at] && !d.bad["routes"] {
				d.fail(at, "there is no route %s%s", d.src.quote(r), d.near(r, names))
			}
		}
		d.checkPromised(&l.Goals, path)
		d.checkGoals(c, &l.Goals, path)
	}
}

// checkPromised refuses a section that promises nothing.
func (d *decoder) checkPromised(g *objectives.Goals, path string) {
	if *g == (objectives.Goals{Window: g.Window}) && d.sound(path) {
		d.fail(path, "nothing is promised: name p95_first_token, p95_total, success or cost_per_1k_tokens")
	}
}

func (d *decoder) checkGoals(c *Config, g *objectives.Goals, path string) {
	if g.Cost != "" && !c.Ledger.On() && !d.within("ledger") && !d.within(path+".cost_per_1k_tokens") {
		d.fail(path+".cost_per_1k_tokens", "cost_per_1k_tokens: is told by the ledger, and there is none; add one, as ledger: { store: \"sqlite:run/ledger.db\" }")
	}
	if g.First > 0 && g.Total > 0 && g.First > g.Total && !d.within(path) {
		d.fail(path+".p95_first_token", "p95_first_token: is longer than p95_total, which is to the last one")
	}
}

// checkExperiments checks what is compared, and gives every arm what it does not say itself.
func (d *decoder) checkExperiments(c *Config) {
	unique(d, "experiments", "experiment", c.Experiments, func(e Experiment) string { return e.Name })
	taken := map[string]string{}
	var names []string
	for i := range c.Routes {
		names = append(names, c.Routes[i].Name)
	}
	for i := range c.Experiments {
		e, path := &c.Experiments[i], fmt.Sprintf("experiments[%d]", i)
		of := slices.Index(names, e.Route)
		switch other, twice := taken[e.Route]; {
		case e.Route == "" || d.bad[path+".route"]:
		case of < 0 && !d.bad["routes"]:
			d.fail(path+".route", "there is no route %s%s", d.src.quote(e.Route), d.near(e.Route, names))
		case twice:
			d.fail(path+".route", "the route %s has the experiment %s already, and one at a time is possible", d.src.quote(e.Route), d.src.quote(other))
		default:
			taken[e.Route] = e.Name
		}
		unique(d, path+".arms", "arm", e.Arms, func(a Arm) string { return a.Name })
		d.checkArms(c, e, of, path)
	}
}

// checkArms checks the arms of an experiment at the of-th route.
func (d *decoder) checkArms(c *Config, e *Experiment, of int, path string) {
	sum := 0
	for j := range e.Arms {
		a, at := &e.Arms[j], fmt.Sprintf("%s.arms[%d]", path, j)
		if d.nodes[at+".weight"] == nil {
			a.Weight = 1
		}
		sum += a.Weight
		d.checkParameters(&a.Parameters, at+".parameters")
		if of < 0 {
			continue
		}
		own := c.Routes[of]
		if len(a.Targets) > 0 {
			own.Targets = a.Targets
		}
		if d.nodes[at+".policy"] != nil {
			own.Policy = a.Policy
		}
		if len(a.Targets) > 0 {
			d.checkTargets(c, &own, at)
		}
	}
	d.checkShadow(c, e, path)
	d.checkRamp(c, e, path)
	switch {
	case d.within(path + ".arms"):
	case len(e.Arms) < 2:
		d.fail(path+".arms", "arms: a comparison needs two; the first is the control")
	case sum == 0:
		d.fail(path+".arms", "arms: every weight is 0, so that nothing is assigned")
	}
}

// checkParameters checks what an arm puts in place of what clients say.
func (d *decoder) checkParameters(p *template.Parameters, at string) {
	fail := func(path, message string) {
		if !d.within(at + "." + path) {
			d.fail(at+"."+path, "%s", message)
		}
	}
	p.Check(fail)
	switch p.ToolChoice {
	case "", "auto", "none", "required":
	default:
		fail("tool_choice", "tool_choice: must be auto, none or required: which tools there are is the client's to say")
	}
}

// checkVersions checks the versions of templates that arms have. Those of a store are known when the program runs.
func (d *decoder) checkVersions(c *Config) {
	for i := range c.Experiments {
		first := ""
		for j := range c.Experiments[i].Arms {
			a, at := &c.Experiments[i].Arms[j], fmt.Sprintf("experiments[%d].arms[%d].template", i, j)
			if a.Template == "" || d.bad[at] {
				continue
			}
			name, version, _ := strings.Cut(a.Template, "@")
			_, number := strconv.Atoi(version)
			switch {
			case version == "" || strings.ContainsAny(a.Template, "*?") || number != nil && !template.LabelOK(version):
				d.fail(at, "template: must be NAME@VERSION, or NAME@LABEL")
				continue
			case first != "" && first != name:
				d.fail(at, "template: another arm has a version of %s, and all must be of one template", d.src.quote(first))
				continue
			}
			first = name
			switch v, known := c.templates.Find(name, version); {
			case known && v == nil:
				d.fail(at, "template: %s has no version %s; there are %s", d.src.quote(name), d.src.quote(version), c.templates.Possible(name, nil))
			case !known && !c.Stores():
				d.fail(at, "template: there is no template %s%s", d.src.quote(name), d.near(name, c.templates.Names()))
			}
		}
	}
}

// checkRamp checks how a canary is let in.
func (d *decoder) checkRamp(c *Config, e *Experiment, path string) {
	at := path + ".ramp"
	if d.nodes[at] == nil || d.within(at) {
		return
	}
	before := 0
	for i, s := range e.Ramp.Steps {
		if s <= before || s > 100 {
			d.fail(fmt.Sprintf("%s.steps[%d]", at, i), "steps: shares in percent from 1 to 100, each above the one before")
			return
		}
		before = s
	}
	switch {
	case before == 0:
		d.fail(at+".steps", "ramp.steps is missing: the shares of the second arm in percent, as [ 1, 10, 50 ]")
	case len(e.Arms) != 2:
		d.fail(at, "ramp: has two arms, the control and what is let in; here are %d", len(e.Arms))
	case !c.Stores() && !d.within("store"):
		d.fail(at, "ramp: what step it is at is kept in a store, and there is none; add one, as store: \"sqlite:run/signalbox.db\"")
	case !c.Ledger.On() && !d.within("ledger"):
		d.fail(at, "ramp: is decided by what the ledger has, and there is none; add one, as ledger: { store: \"sqlite:run/ledger.db\" }")
	}
	known := c.promises(e.Route)
	for i, name := range e.Ramp.SLO {
		if !slices.Contains(known, name) && !e.Ramp.blind() && !d.within("slos") && !d.within("routes") {
			d.fail(fmt.Sprintf("%s.slo[%d]", at, i), "slo: there is no objective %s of the route %s%s", d.src.quote(name), d.src.quote(e.Route), d.near(name, known))
		}
	}
	for j := range e.Arms {
		if d.nodes[fmt.Sprintf("%s.arms[%d].weight", path, j)] != nil {
			d.fail(fmt.Sprintf("%s.arms[%d].weight", path, j), "weight: the ramp has the shares")
		}
	}
}

// checkQueue checks where requests wait.
func (d *decoder) checkQueue(c *Config) {
	for path, wait := range map[string]time.Duration{"queue.wait": c.Queue.Wait, "queue.classes.critical": c.Queue.Classes.Critical, "queue.classes.normal": c.Queue.Classes.Normal, "queue.classes.best_effort": c.Queue.Classes.BestEffort, "queue.classes.batch": c.Queue.Classes.Batch} {
		if wait > longestQueue && !d.bad[path] {
			d.fail(path, "%s: nobody can wait for longer than %v", path[strings.LastIndexByte(path, '.')+1:], longestQueue)
		}
	}
	if c.Queue.Wait > 0 || d.bad["queue.wait"] {
		return
	}
	if c.Queue.Classes != (queueWaits{}) && !d.within("queue.classes") {
		d.fail("queue.classes", "classes: nobody waits; say how long one may, as wait: 30s")
	}
	for i := range c.Providers {
		if at := fmt.Sprintf("providers[%d].limits", i); c.Providers[i].Limits != (providerLimits{}) && !d.within(at) {
			d.fail(at, "limits: requests beyond them wait, and nobody may; say how long one may, as queue: { wait: 30s }")
		}
	}
}

// checkModels checks what names mean: that every alias leads to a route at once, and that no name is given
// to a route that it can never reach.
func (d *decoder) checkModels(c *Config) {
	first, bare := map[string]string{}, map[string]bool{}
	for i := range c.Routes {
		r := &c.Routes[i]
		bare[r.Name] = r.Match.Bare()
		for j, m := range r.Match.Models {
			at := fmt.Sprintf("routes[%d].match.models[%d]", i, j)
			if m == "" || d.bad[at] {
				continue
			}
			if _, alias := c.Aliases[m]; alias {
				d.fail(at, "the name %s is an alias, which goes first", d.src.quote(m))
			}
			other, taken := first[m]
			switch {
			case taken && other == r.Name:
				d.fail(at, "the name %s is given twice", d.src.quote(m))
			case taken && !r.ClientHeaders.Route && r.Match.Bare() && bare[other]:
				d.fail(at, "the name %s is already taken by the route %s", d.src.quote(m), d.src.quote(other))
			case !taken:
				first[m] = r.Name
			}
		}
	}
	if d.within("aliases") || d.within("routes") || d.within("providers") {
		return
	}
	c.build(d.kinds)
	for a, to := range c.Aliases {
		at := join("aliases", a)
		if _, chain := c.Aliases[to]; chain {
			d.fail(at, "the alias leads to another alias, %s; name the model itself", d.src.quote(to))
		} else if c.table.Match(to) == nil {
			d.fail(at, "the alias leads to %s, which no route matches", d.src.quote(to))
		}
	}
}
