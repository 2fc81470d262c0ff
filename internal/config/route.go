package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/config/objectives"
	"github.com/signalbox-ai/signalbox/internal/config/observe"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/internal/health/probe"
	"github.com/signalbox-ai/signalbox/internal/override"
	"github.com/signalbox-ai/signalbox/internal/owner"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/slo"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// Handling is what a route and the defaults both say.
type Handling struct {
	Deadlines     Deadlines     `yaml:"deadlines" doc:"How long an exchange may take. A total that is shorter than an inherited deadline shortens that too."`
	Failover      Failover      `yaml:"failover" doc:"When and how often another target is tried."`
	Usage         string        `yaml:"usage" enum:"exact,pass,estimate" doc:"How tokens of an openai-chat stream are learnt when its client did not ask for usage. exact asks the provider and takes the extra frame out again; pass asks and lets the frame pass; estimate does not ask."`
	Lossy         string        `yaml:"lossy" enum:"warn,refuse,silent" doc:"What happens to a request of which a target cannot carry everything. warn sends it and names the losses in a header of the answer; refuse does not use the target; silent sends it. All are logged."`
	Count         string        `yaml:"count" enum:"local,forward" doc:"Who counts the tokens of a prompt for a client that asks. local counts here, without a network, where the vendor's way is known, and asks the provider elsewhere; forward always asks the provider."`
	ClientHeaders ClientHeaders `yaml:"client_headers" doc:"Which x-signalbox-* headers of clients count."`
	Policy        []Policy      `yaml:"policy" max:"32" doc:"How targets are chosen: the policies, in the order in which they are applied. Each leaves targets out or orders those that the policies before it left equal. See [Policies](policies.md)."`
	Priority      string        `yaml:"priority" enum:"critical,normal,best_effort,batch" doc:"How important requests are. Where they wait for room at a provider, the more important go first; where too many wait, the least important are refused first. See [The queue](queue.md)."`
	Idempotency   bool          `yaml:"idempotency" doc:"Requests with an idempotency key are done once, where idempotency.store says where their answers are kept. See [Idempotency](idempotency.md)."`
	AnswerHeaders bool          `yaml:"answer_headers" doc:"Puts x-signalbox-target and x-signalbox-attempts on answers, and x-signalbox-tokens on counts that are made here and on answers to prompts; to be shown their tokens, prompts are counted."`
}

// Deadlines of an exchange.
type Deadlines struct {
	FirstToken    time.Duration `yaml:"first_token" doc:"Streams: from sending an attempt to its first content. Then another target is tried. Keep-alives, roles and empty deltas are not content."`
	Answer        time.Duration `yaml:"answer" zero:"only total counts" doc:"Whole answers: from sending an attempt to its head, which most providers send when the answer is complete. Then another target is tried."`
	BetweenTokens time.Duration `yaml:"between_tokens" doc:"From content to content of a stream."`
	Total         time.Duration `yaml:"total" doc:"From admission to the last byte, over all attempts."`
}

// Failover says when another target is tried.
type Failover struct {
	FirstToken  bool       `yaml:"first_token" doc:"Holds a stream's head until its first content while a target is left, so that a stream that begins with an error or nothing can still fail over."`
	ErrorBodies bool       `yaml:"error_bodies" doc:"Reads error bodies of whole answers too, for causes that the status does not tell."`
	Attempts    int        `yaml:"attempts" min:"1" max:"8" zero:"as many as there are targets and keys" doc:"Most attempts in all."`
	Rounds      int        `yaml:"rounds" min:"1" max:"3" doc:"How often the targets are tried, one after the other, where each failed in a way that may be over soon. See [Failover](failover.md#rounds)."`
	Backoff     backoff    `yaml:"backoff" doc:"How long is waited before a further round."`
	On          FailoverOn `yaml:"on" doc:"What follows a failure, by its class. Rules other than the usual ones let the service see answers that would pass it by: see [Failover](failover.md#rules)."`
	RetryBudget int        `yaml:"retry_budget" max:"100" zero:"10 a second and no more" doc:"How many tries again a provider may get, in percent of its requests of the last ten seconds, and 10 a second in any case. See [Failover](failover.md#retry-budgets)."`
}

// failover gives the form that exchanges go by.
func (f *Failover) failover() routing.Failover {
	return routing.Failover{FirstToken: f.FirstToken, ErrorBodies: f.ErrorBodies, Attempts: f.Attempts, On: f.On.rules(), Budget: f.RetryBudget, Rounds: failure.Rounds{N: f.Rounds, Base: f.Backoff.Base, Max: f.Backoff.Max}}
}

// backoff is the time between rounds.
type backoff struct {
	Base time.Duration `yaml:"base" doc:"Before the second round, at random between half of it and all; doubled before the third."`
	Max  time.Duration `yaml:"max" doc:"Longest wait, for the back-off or until the first target that rests may be asked again. Where all rest longer, there is no further round."`
}

// FailoverOn is what follows each class of failures.
type FailoverOn struct {
	Connect         string `yaml:"connect" enum:"next,same,stop" doc:"No connection: refused, DNS, TLS. same: the same target once more, then the next."`
	Reset           string `yaml:"reset" enum:"next,same,stop" doc:"The connection broke, or the stream was cut. same: the same target once more, then the next."`
	Timeout         string `yaml:"timeout" enum:"next,stop" doc:"A deadline was missed."`
	RateLimited     string `yaml:"rate_limited" enum:"next,other_vendor,stop" doc:"Too many requests or tokens for now."`
	OverQuota       string `yaml:"over_quota" enum:"next,other_vendor,stop" doc:"The account at the provider is empty."`
	Overloaded      string `yaml:"overloaded" enum:"next,other_vendor,stop" doc:"The provider has no capacity for now: 503, 529."`
	Credential      string `yaml:"credential" enum:"next,other_vendor,stop" doc:"The provider refuses the key."`
	Upstream        string `yaml:"upstream" enum:"next,other_vendor,stop" doc:"Any other fault of the provider; an empty answer."`
	ContextTooLong  string `yaml:"context_too_long" enum:"bigger,next,other_vendor,stop" doc:"The prompt does not fit the model's window. bigger: the next target whose window is bigger."`
	ContentFiltered string `yaml:"content_filtered" enum:"stop,next,other_vendor" doc:"A filter of the provider refuses the request, or stops the answer."`
	Refusal         string `yaml:"refusal" enum:"stop,next,other_vendor" doc:"The model declines to answer, and says so by the means of its API."`
	InvalidOutput   string `yaml:"invalid_output" enum:"stop,next,other_vendor,repair" doc:"A whole answer is not JSON, or does not fit the schema, as the request asks it to. repair: it is mended where it can be, else the same target is asked once more and told what is wrong, then the next."`
}

func (o *FailoverOn) rules() (out failure.Rules) {
	actions := map[string]failure.Action{"next": failure.Next, "stop": failure.Stop, "bigger": failure.Bigger, "other_vendor": failure.Other, "repair": failure.Repair, "same": failure.Same}
	for c, name := range map[failure.Class]string{
		failure.Connect: o.Connect, failure.Reset: o.Reset, failure.Timeout: o.Timeout, failure.RateLimited: o.RateLimited, failure.OverQuota: o.OverQuota,
		failure.Overloaded: o.Overloaded, failure.Credential: o.Credential, failure.Upstream: o.Upstream, failure.ContextTooLong: o.ContextTooLong,
		failure.ContentFiltered: o.ContentFiltered, failure.Refusal: o.Refusal, failure.InvalidOutput: o.InvalidOutput,
	} {
		out[c] = actions[name]
	}
	return out
}

// presetFailover is what holds where the file says nothing.
func presetFailover() Failover {
	return Failover{FirstToken: true, RetryBudget: 20, Rounds: 1, Backoff: backoff{Base: 200 * time.Millisecond, Max: 2 * time.Second}, On: FailoverOn{
		Connect: "next", Reset: "next", Timeout: "next", RateLimited: "next", OverQuota: "next", Overloaded: "next", Credential: "next", Upstream: "next",
		ContextTooLong: "bigger", ContentFiltered: "stop", Refusal: "stop", InvalidOutput: "stop",
	}}
}

// ClientHeaders says what clients may decide.
type ClientHeaders struct {
	Route   bool `yaml:"route" doc:"x-signalbox-route may name this route."`
	Timeout bool `yaml:"timeout" doc:"x-signalbox-timeout-ms may shorten deadlines.total."`

	Priority bool `yaml:"priority" doc:"x-signalbox-priority may say that a request is less important than priority says, as batch."`
}

// Route says which requests go to which targets.
type Route struct {
	Name     string           `yaml:"name" form:"name" required:"true" doc:"Its name, in metrics and logs."`
	Match    Match            `yaml:"match" doc:"Which requests it takes. Required, unless client_headers.route lets clients name it."`
	Targets  []Target         `yaml:"targets" required:"true" max:"64" doc:"What is tried, in this order, unless policies order it otherwise; where any has a weight, in an order drawn by weight. A text stands for target alone."`
	SLO      objectives.Goals `yaml:"slo" doc:"What is promised of its exchanges. See [Objectives](slo.md)."`
	Handling `yaml:",inline"`
}

// queueing is where requests wait for room at providers.
type queueing struct {
	Wait     time.Duration `yaml:"wait" zero:"due where there is the section; without it nobody waits" doc:"How long a request may wait when every target that could answer it is at a limit; up to 55 minutes. Then, or when it is clear before, it is refused with 429 and a retry-after."`
	Classes  queueWaits    `yaml:"classes" doc:"Another longest wait, by priority."`
	Max      int           `yaml:"max" min:"1" max:"100000" doc:"Most requests that wait."`
	MaxBytes Size          `yaml:"max_bytes" min:"65536" max:"1099511627776" doc:"Most that the bodies of those may take."`
}

// queueWaits are the longest waits, by priority.
type queueWaits struct {
	Critical   time.Duration `yaml:"critical" zero:"as wait" doc:"Of requests of the priority critical."`
	Normal     time.Duration `yaml:"normal" zero:"as wait" doc:"Of normal ones."`
	BestEffort time.Duration `yaml:"best_effort" zero:"as wait" doc:"Of those of best effort."`
	Batch      time.Duration `yaml:"batch" zero:"as wait" doc:"Of those of a batch."`
}

// providerLimits are what a provider allows.
type providerLimits struct {
	Requests int `yaml:"requests_per_minute" min:"1" zero:"no limit" doc:"Requests in a minute."`
	Tokens   int `yaml:"tokens_per_minute" min:"1" zero:"no limit" doc:"Tokens of prompts and answers in a minute; k and M stand for thousands and millions."`
	Parallel int `yaml:"parallel" min:"1" zero:"no limit" doc:"Requests that may run at the same time."`
}

// longestQueue is the longest wait: Envoy waits for an hour at most.
const longestQueue = 55 * time.Minute

// Line returns the settings of the queue. A provider's limits are shared alike by the replicas.
func (c *Config) Line() queue.Settings {
	q := &c.Queue
	s := queue.Settings{Most: q.Max, Bytes: int64(q.MaxBytes), Limits: map[string]queue.Limits{}}
	if q.Wait > 0 {
		s.Waits = queue.Waits(cmp.Or(q.Classes.Critical, q.Wait), cmp.Or(q.Classes.Normal, q.Wait), cmp.Or(q.Classes.BestEffort, q.Wait), cmp.Or(q.Classes.Batch, q.Wait))
	}
	share := func(n int) int {
		if n == 0 {
			return 0
		}
		return max(1, n/max(1, c.Quota.Replicas))
	}
	for i := range c.Providers {
		if l := c.Providers[i].Limits; l != (providerLimits{}) {
			s.Limits[c.Providers[i].Name] = queue.Limits{Requests: share(l.Requests), Tokens: share(l.Tokens), Parallel: share(l.Parallel)}
		}
	}
	return s
}

// Target is a model at a provider.
type Target struct {
	Target   string `yaml:"target" form:"target" short:"true" required:"true" doc:"PROVIDER/MODEL. The model * is the name that the client asked for."`
	Weight   int    `yaml:"weight" max:"1000000" zero:"1 where another target of the route has a weight" doc:"Share of first attempts. With 0 it comes after the others."`
	Priority int    `yaml:"priority" min:"1" max:"1000" zero:"last" doc:"Where the policy priority orders: those with 1 come first."`
	Like     string `yaml:"like" form:"model" doc:"A known model that this one is like, where its name says nothing: its limits and abilities are assumed."`

	Provider string `yaml:"-"` // of Target
	Model    string `yaml:"-"`
}

// Experiment compares ways in which the requests of a route are answered.
type Experiment struct {
	Name  string `yaml:"name" form:"name" required:"true" doc:"Its name, in the ledger, metrics and traces. Who has which arm depends on it: another name draws anew."`
	Kind  string `yaml:"kind" enum:"compare,shadow" doc:"compare: each request gets one of the arms. shadow: every request gets the first, and a sample of them is sent to the others, too; nobody sees their answers."`
	Route string `yaml:"route" form:"name" required:"true" doc:"The route whose requests take part, by its name. A route has one experiment at a time."`
	By    string `yaml:"by" enum:"user,key,session,request" doc:"What keeps its arm. user: an end user, or the key where the client names none. key: a client's key. session: a conversation, or the user where it has no id. request: nothing; each request is assigned by itself."`
	Arms  []Arm  `yaml:"arms" required:"true" max:"16" doc:"What is compared. The first is the control."`
	Ramp  Ramp   `yaml:"ramp" doc:"Raises the share of the second of two arms by itself, and stops where it is worse than the control. It needs a store and a ledger."`

	Sample string `yaml:"sample" form:"sample" doc:"Of kind shadow: how many of the requests are sent to the other arms, too. Which they are follows from their x-request-id."`
	Budget string `yaml:"budget" form:"money" zero:"required where the kind is shadow" doc:"Of kind shadow: what all of its copies together may cost in a day (UTC), as 20 USD. What a copy may cost at most must be left before it is sent. It needs a ledger."`
}

// shadow gives the form that requests are sampled by; nil: arms are assigned.
func (e *Experiment) shadow() *experiment.Shadow {
	if e.Kind != kindShadow {
		return nil
	}
	n, _ := observe.Millionths(e.Sample) // checked
	return &experiment.Shadow{Share: float64(n) / 1e6}
}

// kindShadow is the kind of experiments whose other arms get copies.
const kindShadow = "shadow"

// checkShadow checks what is copied, and that nothing is said that copies have no use for.
func (d *decoder) checkShadow(c *Config, e *Experiment, path string) {
	if e.Kind != kindShadow {
		for _, field := range [...]string{"sample", "budget"} {
			if at := path + "." + field; d.nodes[at] != nil && !d.bad[at] {
				d.fail(at, "%s: only an experiment of kind shadow has it", field)
			}
		}
		return
	}
	own := func(at, field string) {
		if d.nodes[at] != nil && !d.within(at) {
			d.fail(at, "%s: an experiment of kind shadow has none: every request gets the first arm", field)
		}
	}
	own(path+".ramp", "ramp")
	for j := range e.Arms {
		at := fmt.Sprintf("%s.arms[%d]", path, j)
		own(at+".weight", "weight")
		if j == 0 {
			own(at+".targets", "targets")
			own(at+".policy", "policy")
			own(at+".parameters", "parameters")
			own(at+".template", "template")
		}
	}
	switch {
	case e.Budget == "" && !d.within(path):
		d.fail(path, "budget is missing: what copies may cost in a day, as 20 USD")
	case !c.Ledger.On() && !d.within("ledger") && !d.within(path):
		d.fail(path, "kind: what copies cost and did is told by the ledger, and there is none; add one, as ledger: { store: \"sqlite:run/ledger.db\" }")
	}
}

// Shadows reports whether any experiment sends copies of requests.
func (c *Config) Shadows() bool {
	return slices.ContainsFunc(c.Experiments, func(e Experiment) bool { return e.Kind == kindShadow })
}

// Probe returns the route of probes, without its target; nil: there are none.
func (c *Config) Probe() *routing.Route {
	p := &c.Health.Probe
	if !p.On() {
		return nil
	}
	return &routing.Route{Name: probe.Route, Class: queue.Batch, Deadlines: routing.Deadlines{Answer: p.Timeout, Total: p.Timeout}, Failover: routing.Failover{Attempts: 1}}
}

// Owned returns the limits of all owners, and of what the gateway sends by itself: Budgets has the clients' alone.
func (c *Config) Owned() []budgets.Owned {
	out := c.Access.Owned()
	var own budgets.Owned
	for i := range c.Experiments {
		if e := &c.Experiments[i]; e.Kind == kindShadow {
			own.Limits.Rules = append(own.Limits.Rules, budgets.Rule{Unit: "money", Spend: e.Budget, Window: "day", Routes: []string{e.Route}})
		}
	}
	if p := &c.Health.Probe; p.On() && p.Ask == probe.AsksChat {
		own.Limits.Rules = append(own.Limits.Rules, budgets.Rule{Unit: "money", Spend: p.Budget, Window: "day", Routes: []string{probe.Route}})
	}
	if len(own.Limits.Rules) > 0 {
		own.Level, own.Organization = "organization", owner.OwnTraffic
		out = append(out, own)
	}
	return out
}

// Ramp says how a canary is let in.
type Ramp struct {
	Steps     []int         `yaml:"steps" min:"1" max:"100" doc:"Shares of the second arm in percent, from 1 to 100, rising."`
	Hold      time.Duration `yaml:"hold" doc:"How long a step takes at least."`
	Exchanges int           `yaml:"exchanges" min:"1" max:"1000000" doc:"How many exchanges of the second arm a step takes at least."`
	Floor     int           `yaml:"floor" max:"100" zero:"none" doc:"Percent of its exchanges that must go well, whatever the control does. It is looked at from the first exchanges on."`
	Worse     int           `yaml:"worse" max:"100" doc:"By how many points its share of success may be lower than the control's."`
	Slower    int           `yaml:"slower" max:"1000" doc:"By how many percent its answers may take longer."`
	SLO       []string      `yaml:"slo" form:"name" max:"100" zero:"every objective that holds of the route" doc:"Objectives, by their names: of the route and of slos. It is stopped where its own exchanges burn the error budget of one. [ none ]: none is looked at."`
	Promote   bool          `yaml:"promote" doc:"Gives it every request after the last step. Without it the last step stays."`
}

// ramp gives the form that decisions are made with.
func (r *Ramp) ramp() *experiment.Ramp {
	if len(r.Steps) == 0 {
		return nil
	}
	const percent = 100
	watched := r.SLO
	if r.blind() {
		watched = []string{}
	}
	return &experiment.Ramp{Steps: r.Steps, Hold: r.Hold, Exchanges: r.Exchanges, Floor: float64(r.Floor) / percent, Worse: float64(r.Worse) / percent, Slower: float64(r.Slower) / percent, Promote: r.Promote, SLOs: watched}
}

// blind reports whether no objective is looked at.
func (r *Ramp) blind() bool { return slices.Equal(r.SLO, []string{"none"}) }

// promises are the names of the objectives that hold of exchanges of a route, in their order.
func (c *Config) promises(route string) (names []string) {
	for _, o := range c.Objectives() {
		if holds := len(o.Scope.Routes) == 0 || slices.Contains(o.Scope.Routes, route); holds && !slices.Contains(names, o.Name) {
			names = append(names, o.Name)
		}
	}
	return names
}

func (e *Experiment) preset(*Config) {
	e.By, e.Kind, e.Sample = experiment.ByUser, "compare", "1%"
	e.Ramp = Ramp{Hold: time.Hour, Exchanges: 200, Worse: 1, Slower: 20}
}

// Arm is one way of answering. What it does not say is as in the route.
type Arm struct {
	Name    string   `yaml:"name" form:"name" required:"true" doc:"Its name."`
	Weight  int      `yaml:"weight" max:"1000000" zero:"1; 0, where it is written, assigns nothing to it" doc:"Share of what takes part. A change moves only as many users as it must: those that an arm gains."`
	Targets []Target `yaml:"targets" max:"64" zero:"those of the route" doc:"Targets in place of the route's."`
	Policy  []Policy `yaml:"policy" max:"32" zero:"that of the route" doc:"Policies in place of the route's."`

	Template   string              `yaml:"template" form:"template" zero:"as requests name it" doc:"NAME@VERSION, or NAME@LABEL: the version of the prompt template that requests get which name it and leave the version to the gateway. Others take no part in the experiment. See [Experiments](experiments.md#templates)."`
	Parameters template.Parameters `yaml:"parameters" doc:"Parameters in place of what clients say. What is not named here is theirs. See [Experiments](experiments.md#parameters)."`
}

// change is what the arm changes of requests; nil: nothing.
func (a *Arm) change() *override.Change {
	_, version, _ := strings.Cut(a.Template, "@")
	if a.Parameters.Empty() && version == "" {
		return nil
	}
	c := &override.Change{Version: version}
	if !a.Parameters.Empty() {
		c.Parameters = &a.Parameters
	}
	return c
}

// trial gives the route its experiment. Each arm is the route with what the arm has in its place.
func (e *Experiment) trial(r *Route) *routing.Trial {
	x := &experiment.Experiment{Name: e.Name, By: e.By, Ramp: e.Ramp.ramp(), Shadow: e.shadow()}
	t := &routing.Trial{Experiment: x}
	for i := range e.Arms {
		a, own := &e.Arms[i], *r
		if len(a.Targets) > 0 {
			own.Targets = a.Targets
		}
		if a.Policy != nil {
			own.Policy = a.Policy
		}
		x.Arms = append(x.Arms, experiment.Arm{Name: a.Name, Weight: a.Weight})
		r := own.route()
		r.Change = a.change()
		if name, _, of := strings.Cut(a.Template, "@"); of {
			t.Template = name
		}
		t.Routes, t.Labels = append(t.Routes, r), append(t.Labels, e.Name+"/"+a.Name)
	}
	return t
}

// Objectives returns what is promised, by routes and beside them.
func (c *Config) Objectives() []slo.Objective {
	out := slices.Concat(c.settled.objectives, c.promised())
	for i := range c.SLOs {
		out = append(out, c.SLOs[i].Of()...)
	}
	return out
}

// SLOFile returns the path of SLOState, "" where nothing is kept.
func (c *Config) SLOFile() string {
	if c.SLOState == "none" {
		return ""
	}
	return c.SLOState
}

// Table returns the routes, ready to match.
func (c *Config) Table() *routing.Table { return c.table }

// build makes the table from the routes, or from the providers where there are none.
func (c *Config) build(kinds *providers.Registry) {
	var routes []*routing.Route
	for i := range c.Routes {
		r := c.Routes[i].route()
		for j := range c.Experiments {
			if e := &c.Experiments[j]; e.Route == r.Name {
				r.Trial = e.trial(&c.Routes[i])
				if p := r.Trial.Ramp; p != nil && p.SLOs == nil {
					p.SLOs = c.promises(r.Name)
				}
			}
		}
		routes = append(routes, r)
	}
	if len(routes) == 0 {
		routes = c.implicit(kinds)
	}
	c.table = routing.NewTable(routes, c.Aliases).Compact()
}

// implicit gives every provider a route of its own name, for NAME/*, for models that it declares and, to the
// first of a kind, for the names of models that are known to be the kind's.
func (c *Config) implicit(kinds *providers.Registry) []*routing.Route {
	var routes []*routing.Route
	seen := map[string]bool{}
	for i := range c.Providers {
		p := &c.Providers[i]
		models := []string{p.Name + "/*"}
		if k, ok := kinds.Kind(p.Kind); ok && !seen[p.Kind] {
			seen[p.Kind] = true
			for _, m := range k.Models {
				if m != models[0] {
					models = append(models, m)
				}
			}
		}
		for j := range p.Models {
			if !c.claimed(kinds, i, p.Models[j].Name) {
				models = append(models, p.Models[j].Name)
			}
		}
		r := Route{Name: p.Name, Match: Match{Models: models}, Handling: c.Defaults, Targets: []Target{{Provider: p.Name, Model: "*"}}}
		routes = append(routes, r.route())
	}
	all := slices.Clone(routes)
	slices.SortStableFunc(routes, func(a, b *routing.Route) int { return taken(b, all) - taken(a, all) })
	return routes
}

// claimed reports whether a model that the i-th provider declares is one of another provider's own by its name.
func (c *Config) claimed(kinds *providers.Registry, i int, model string) bool {
	for j := range c.Providers {
		p := &c.Providers[j]
		if j != i && glob.Match(p.Name+"/*", model) {
			return true
		}
		k, ok := kinds.Kind(p.Kind)
		if j != i && ok && p.Kind != c.Providers[i].Kind && slices.ContainsFunc(k.Models, func(m string) bool { return glob.Match(m, model) }) {
			return true
		}
	}
	return false
}

// taken is 1 for an implicit route whose own NAME/* would fall to the model names of another kind, as
// claude-proxy/* to claude-*: it goes first.
func taken(r *routing.Route, routes []*routing.Route) int {
	for _, other := range routes {
		for _, m := range other.Models[1:] {
			if other != r && glob.Match(m, r.Models[0]) {
				return 1
			}
		}
	}
	return 0
}

// route gives the form that decisions are made with.
func (r *Route) route() *routing.Route {
	out := &routing.Route{
		Name:      r.Name,
		Models:    r.Match.Models,
		Match:     r.Match.match(),
		Policies:  r.policies(),
		Deadlines: routing.Deadlines{FirstToken: r.Deadlines.FirstToken, Answer: r.Deadlines.Answer, BetweenTokens: r.Deadlines.BetweenTokens, Total: r.Deadlines.Total},
		Failover:  r.Failover.failover(),
		Client:    routing.ClientHeaders(r.ClientHeaders),
		Show:      r.AnswerHeaders,
		Forward:   r.Count == "forward",
		Once:      r.Idempotency,
	}
	switch r.Usage {
	case "pass":
		out.Usage = routing.UsagePass
	case "estimate":
		out.Usage = routing.UsageEstimate
	}
	out.Class, _ = queue.ParseClass(r.Priority)
	switch r.Lossy {
	case "refuse":
		out.Lossy = routing.LossyRefuse
	case "silent":
		out.Lossy = routing.LossySilent
	}
	for _, t := range r.Targets {
		out.Targets = append(out.Targets, routing.Target{Provider: t.Provider, Model: t.Model, Weight: t.Weight, Priority: t.Priority, Like: t.Like})
	}
	return out
}
