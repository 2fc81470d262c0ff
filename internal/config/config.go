// Package config reads the one YAML file that configures Signalbox: strictly, whole, and with every error
// shown where it stands. A Config that Parse has returned is valid, and does not change but for Settle.
//
//	bytes ─ tree ─► nodes with positions ─ decode ─► structs ─ check ─► Config ─► routing.Table
//
// It fetches no secret (secret.Ref does), makes no provider that lives on, and knows nothing of Envoy.
//
// The tags of the structs are the single source of the decoder, the JSON Schema and the reference
// (internal/config/reference): yaml is the field's name; doc its meaning; enum its values; form, min and max
// what a value must be; required, that it must be there; short, the field that a bare text stands for.
package config

//go:generate go test ./reference -run Golden -update

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert"
	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/config/access"
	"github.com/signalbox-ai/signalbox/internal/config/objectives"
	"github.com/signalbox-ai/signalbox/internal/config/observe"
	"github.com/signalbox-ai/signalbox/internal/health/upkeep"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/slo"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/routing"
)

// Config is a whole configuration, valid and, once it has settled, immutable.
type Config struct {
	Listen              Listen     `yaml:"listen" doc:"Where Signalbox listens."`
	Providers           []Provider `yaml:"providers" required:"true" doc:"The providers that requests can go to, each an instance of a kind."`
	Routing             `yaml:",inline"`
	access.Access       `yaml:",inline"`
	Limits              Limits `yaml:"limits" doc:"Bounds on what clients and providers may send."`
	Accounting          `yaml:",inline"`
	Envoy               Envoy     `yaml:"envoy" doc:"The Envoy that Signalbox runs or configures."`
	Tokenizer           Tokenizer `yaml:"tokenizer" doc:"How tokens are counted."`
	observe.Observation `yaml:",inline"`
	Drain               time.Duration `yaml:"drain" doc:"How long running exchanges may go on after a stop was asked for."`

	table     *routing.Table
	templates *template.Set // nil: there are none
	file      file
	settled   settled
}

// Routing is where requests go.
type Routing struct {
	Aliases     map[string]string `yaml:"aliases" form:"model" doc:"Other names for models: what a client asks for, and the name that routes match in its place. An alias of an alias is refused."`
	Defaults    Handling          `yaml:"defaults" doc:"How exchanges are handled where a route says nothing else."`
	Routes      []Route           `yaml:"routes" doc:"Which requests go where. Without routes, every provider has one of its own name."`
	SLOs        []objectives.List `yaml:"slos" max:"256" doc:"Promises of service beside those of routes: of several routes together, or of what has a tag. See [Objectives](slo.md)."`
	SLOState    string            `yaml:"slo_state" form:"path" doc:"File that keeps what was counted for objectives, so that it survives a restart; none: it is counted anew."`
	Queue       queueing          `yaml:"queue" doc:"Where requests wait for room at providers that are at their limits. See [The queue](queue.md)."`
	Experiments []Experiment      `yaml:"experiments" max:"256" doc:"Comparisons of ways in which the requests of a route are answered. See [Experiments](experiments.md)."`
	Templates   string            `yaml:"templates" form:"path" zero:"none" doc:"Folder of prompt templates: a file NAME@VERSION.yaml for each version, and labels.yaml. They are read again when one changes. A store can have templates, too. See [Prompt templates](templates.md)."`
}

// Listen is the addresses of the program.
type Listen struct {
	HTTP    Address `yaml:"http" form:"tcp" doc:"The clients' address: an IP address and a port. Beyond loopback, keys are required."`
	Admin   Address `yaml:"admin" form:"tcp" doc:"The address of health checks and metrics. Beyond loopback, keys are required."`
	Service Address `yaml:"service" form:"address" doc:"Where Envoy reaches the service: unix:PATH, or an address on loopback. Providers' credentials cross it."`
	Control Address `yaml:"control" form:"address" doc:"The local socket of the admin API, unix:PATH, where there is a store. Who runs the program gets in, and root."`
	Own     Address `yaml:"own" form:"address" doc:"The local socket of Envoy for what Signalbox sends by itself, as copies of requests (experiments of kind shadow) and probes (health.probe), unix:PATH. Envoy makes it."`
	TLS     TLS     `yaml:"tls" doc:"TLS on the clients' address."`
}

// TLS is the files of a TLS server. They are read again when they change.
type TLS struct {
	Cert     string `yaml:"cert" form:"file" doc:"File of the certificate chain (PEM)."`
	Key      string `yaml:"key" form:"file" doc:"File of the private key (PEM)."`
	ClientCA string `yaml:"client_ca" form:"file" doc:"File of the authorities (PEM) of which clients must show a certificate."`
}

// On reports whether the listener has TLS.
func (t TLS) On() bool { return t.Cert != "" }

// Provider is an instance of a kind.
type Provider struct {
	Name           string           `yaml:"name" form:"name" required:"true" doc:"Its name, in targets, metrics and logs."`
	Kind           string           `yaml:"kind" form:"kind" required:"true" doc:"What it is: one of the kinds of providers."`
	BaseURL        string           `yaml:"base_url" doc:"Where it is, where that is not the kind's own address."`
	Key            secret.Ref       `yaml:"key" doc:"Its credential, by reference: env:NAME, file:PATH or exec:COMMAND."`
	Keys           []secret.Ref     `yaml:"keys" max:"64" doc:"Several credentials, used in turn, in place of key."`
	Region         string           `yaml:"region" form:"region" doc:"The region it runs in."`
	Traits         []string         `yaml:"traits" form:"trait" max:"64" doc:"What the policies compliance and residency go by, as NAME or NAME=VALUE: certifications, and what was agreed, as soc2, retention=none or training=no. They count before what is published of the vendor."`
	CA             string           `yaml:"ca" form:"file" doc:"File of the authorities (PEM) that its certificate is verified with, in place of the system's."`
	PlainHTTP      bool             `yaml:"plain_http" doc:"Allows a base_url of http:// to hosts that are neither loopback nor private addresses."`
	ConnectTimeout time.Duration    `yaml:"connect_timeout" doc:"How long making a connection may take."`
	Models         []Model          `yaml:"models" max:"1000" doc:"What is to be known of single models, over what signalbox models lists; and models that it does not list. A text stands for name alone."`
	Limits         providerLimits   `yaml:"limits" doc:"What it allows, all of its configured keys together. Requests beyond that wait in the queue. See [The queue](queue.md)."`
	Billing        billing.Settings `yaml:"billing" doc:"How the provider bills, where that is not by its list prices."`
	Params         any              `yaml:"params" doc:"What only its kind has."`

	Base *url.URL `yaml:"-"` // base_url or the kind's own; nil for a mock that the program itself serves
}

// Refs returns the references of all the provider's credentials. An index into it is a stable name of one.
func (p *Provider) Refs() []secret.Ref {
	if p.Key != "" {
		return []secret.Ref{p.Key}
	}
	return p.Keys
}

// ParamRefs returns the references to secrets within Params, wherever they stand.
func (p *Provider) ParamRefs() []secret.Ref {
	var out []secret.Ref
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.String:
			if v.Type() == reflect.TypeFor[secret.Ref]() && v.Len() > 0 {
				out = append(out, secret.Ref(v.String()))
			}
		}
	}
	walk(reflect.ValueOf(p.Params))
	return out
}

// Limits bounds what is held in memory for others.
type Limits struct {
	Body        Size `yaml:"body" min:"1024" max:"1073741824" doc:"Largest request body."`
	Headers     Size `yaml:"headers" min:"1024" max:"8388608" doc:"Largest sum of a request's headers; a whole number of KiB."`
	HeaderCount int  `yaml:"header_count" min:"1" max:"10000" doc:"Most headers of a request."`
	Connections int  `yaml:"connections" min:"1" max:"1000000" doc:"Most client connections at once."`
	Answer      Size `yaml:"answer" min:"1024" max:"1073741824" doc:"Largest answer that is read whole; streams have no such bound."`
}

// Accounting is what counts and keeps what is used, what was answered, and what is learnt.
type Accounting struct {
	Quota       budgets.Service `yaml:"quota" doc:"What counts the limits of organizations, teams, projects and keys. See [Quotas](quotas.md)."`
	Ledger      Ledger          `yaml:"ledger" doc:"Where it is kept what was used and what it cost. See [The ledger](ledger.md)."`
	Idempotency Idempotency     `yaml:"idempotency" doc:"Where answers are kept that clients may ask for again, by an idempotency key. See [Idempotency](idempotency.md)."`
	Health      upkeep.Settings `yaml:"health" doc:"What is kept, shared and asked of the health of targets. See [Health](health.md)."`
	Alerts      alert.Settings  `yaml:"alerts" doc:"Who is told of limits that are nearly used up, of spending out of the ordinary, and of keys that end. See [Alerts](alerts.md)."`
}

// Idempotency is where answers are kept for requests that clients repeat.
type Idempotency struct {
	Store      string        `yaml:"store" form:"answers" doc:"Due where there is the section. none: idempotency keys mean nothing. memory: within the process. For several processes the address of a Redis, as in quota.store."`
	Password   secret.Ref    `yaml:"password" doc:"The password of Redis, by reference. One that changes is taken up by new connections."`
	CA         string        `yaml:"ca" form:"file" doc:"File of the authorities (PEM) that Redis's certificate is verified with, in place of the system's."`
	Cert       string        `yaml:"cert" form:"file" doc:"File of the certificate (PEM) that is shown to Redis."`
	Key        string        `yaml:"cert_key" form:"file" doc:"File of its private key (PEM)."`
	ServerName string        `yaml:"server_name" zero:"the host in the address" doc:"The name that Redis's certificate must have."`
	Timeout    time.Duration `yaml:"timeout" doc:"How long a request waits for Redis at most; then it is refused."`
	TTL        time.Duration `yaml:"ttl" doc:"How long an answer is kept."`
	MaxAnswer  Size          `yaml:"max_answer" min:"1024" max:"67108864" doc:"Largest body of an answer that is kept. Of what is larger, a repetition runs again."`
	MaxTotal   Size          `yaml:"max_total" min:"65536" max:"1099511627776" doc:"Most that all answers may take. The oldest go first."`
}

// On reports whether answers are kept.
func (i *Idempotency) On() bool { return i.Store != "none" }

// Ledger is where records of exchanges are kept.
type Ledger struct {
	Store     string     `yaml:"store" form:"ledger" doc:"Due where there is the section. sqlite:PATH, a file for one replica; postgres://USER@HOST/DATABASE, for many; or none."`
	Password  secret.Ref `yaml:"password" doc:"The password of PostgreSQL, by reference."`
	Spool     string     `yaml:"spool" form:"path" doc:"Folder that keeps records while the database is away; none: they wait in memory."`
	SpoolSize Size       `yaml:"spool_size" min:"1048576" max:"1099511627776" doc:"Most that the folder may hold. What has no room is lost, and counted."`
	Retention Retention  `yaml:"retention" doc:"How long what is kept."`
	Export    []Export   `yaml:"export" max:"16" doc:"Where records go as they are written. Each gets every record at least once, from when it is first named; what it has not taken waits in the ledger's database."`
}

// On reports whether there is a ledger.
func (l *Ledger) On() bool { return l.Store != "none" }

// Folder returns the path of Spool, "" where there is none.
func (l *Ledger) Folder() string {
	if l.Spool == "none" {
		return ""
	}
	return l.Spool
}

// Retention is how many days what is kept.
type Retention struct {
	Records int `yaml:"records" max:"36500" doc:"Days that single records are kept; 0: for ever."`
	Minutes int `yaml:"minutes" max:"36500" doc:"Days that sums by the minute are kept; 0: for ever."`
	Hours   int `yaml:"hours" max:"36500" doc:"Days that sums by the hour are kept; 0: for ever."`
	Days    int `yaml:"days" max:"36500" doc:"Days that sums by the day are kept; 0: for ever."`
}

// Keep returns the retention as stores take it.
func (r Retention) Keep() book.Retention {
	const day = 24 * time.Hour
	return book.Retention{Records: time.Duration(r.Records) * day, Minutes: time.Duration(r.Minutes) * day, Hours: time.Duration(r.Hours) * day, Days: time.Duration(r.Days) * day}
}

// Export is a sink of records, of one kind.
type Export struct {
	Name    string          `yaml:"name" form:"name" required:"true" doc:"Its name, in metrics and logs. What waits for it is kept under this name."`
	Webhook channel.Webhook `yaml:"webhook" doc:"A POST of records to an address of your own, such as a bridge to a queue. Any answer of 2xx takes all of them."`
	OTLP    observe.OTLP    `yaml:"otlp" doc:"A collector of OpenTelemetry, which gets each record as a log record."`
	File    string          `yaml:"file" form:"path" doc:"A file that records are appended to, or a pipe, as /dev/stdout may be one. It is made anew when it was moved away."`
	Format  string          `yaml:"format" enum:"jsonl,protobuf" doc:"Of webhooks and files. jsonl: a record a line, as signalbox usage export --shape records writes it. protobuf: signalbox.usage.v1.Record, each behind its length as a varint."`
}

func (e *Export) preset(*Config) {
	var o observe.Observation
	o.Preset()
	e.OTLP, e.Format = o.Telemetry.OTLP, "jsonl"
}

// PresetExport returns a sink with what holds where the file says nothing.
func PresetExport() (e Export) {
	e.preset(nil)
	return e
}

// Kind returns webhook, otlp or file; "" where the sink is of none or of several.
func (e *Export) Kind() string {
	switch [3]bool{e.Webhook.Given(), e.OTLP.Endpoint != "", e.File != ""} {
	case [3]bool{true, false, false}:
		return "webhook"
	case [3]bool{false, true, false}:
		return "otlp"
	case [3]bool{false, false, true}:
		return "file"
	}
	return ""
}

// Sinks returns the names of the sinks.
func (l *Ledger) Sinks() (out []string) {
	for i := range l.Export {
		out = append(out, l.Export[i].Name)
	}
	return out
}

// Envoy is the proxy.
type Envoy struct {
	Path        string  `yaml:"path" form:"path" doc:"The Envoy binary to run; empty: the first of $ENVOY, PATH and the cache."`
	Admin       Address `yaml:"admin" form:"address" doc:"Envoy's admin interface: unix:PATH, or an address on loopback."`
	Concurrency int     `yaml:"concurrency" max:"1024" doc:"Worker threads; 0: one for each processor."`
	Heap        Size    `yaml:"heap" min:"67108864" doc:"Heap at which Envoy begins to refuse work."`
	TrustedHops int     `yaml:"trusted_hops" max:"32" doc:"Proxies in front whose x-forwarded-for is believed."`
	Usage       string  `yaml:"usage" enum:"tail,envoy" doc:"Who reads the token usage of answers that do not visit the service. tail: of streams, and of what Envoy's filter cannot read, the service, from their beginning and end, which Envoy's Lua filter keeps; of the rest Envoy's filter. envoy: Envoy's filter alone."`
	LogLevel    string  `yaml:"log_level" enum:"trace,debug,info,warning,error,critical,off" doc:"Level of Envoy's own log."`
}

// Tokenizer is how tokens are counted.
type Tokenizer struct {
	State string            `yaml:"state" form:"path" doc:"File that keeps what was learnt from the usage that providers report, so that it survives a restart; none: it is forgotten."`
	Vocab map[string]string `yaml:"vocab" form:"path" doc:"Files of vocabularies that are not shipped, by name: a tokenizer.json or tokenizer.model, such as gemma3 for Gemini's models. Without it their tokens are an estimate."`
}

// File returns the path of State, "" where nothing is kept.
func (t *Tokenizer) File() string {
	if t.State == "none" {
		return ""
	}
	return t.State
}

// preset fills a Config with what holds where the file says nothing.
func (c *Config) preset() {
	c.Listen = Listen{HTTP: "127.0.0.1:8080", Admin: "127.0.0.1:9180", Service: "unix:run/signalbox.sock", Control: "unix:run/control.sock", Own: "unix:run/own.sock"}
	c.Defaults = Handling{
		Deadlines:   Deadlines{FirstToken: time.Minute, BetweenTokens: 2 * time.Minute, Total: 30 * time.Minute},
		Failover:    presetFailover(),
		Usage:       "exact",
		Lossy:       "warn",
		Count:       "local",
		Priority:    "normal",
		Idempotency: true,
	}
	c.Queue = queueing{Max: 1000, MaxBytes: 256 << 20}
	c.Access = access.Preset()
	c.Limits = Limits{Body: 20 << 20, Headers: 60 << 10, HeaderCount: 100, Connections: 10000, Answer: 64 << 20}
	c.Envoy = Envoy{Admin: "unix:run/envoy-admin.sock", Heap: 1 << 30, Usage: "tail", LogLevel: "warning"}
	c.SLOState = "run/slo.json"
	c.Tokenizer = Tokenizer{State: "run/tokens.json"}
	c.Quota = budgets.Preset()
	c.Health = upkeep.Preset()
	c.Observation.Preset()
	c.Ledger = Ledger{Store: "none", Spool: "run/ledger-spool", SpoolSize: 1 << 30, Retention: Retention{Records: 90, Minutes: 7, Hours: 400}}
	c.Alerts = alert.Preset()
	c.Idempotency = Idempotency{Store: "none", Timeout: 250 * time.Millisecond, TTL: 24 * time.Hour, MaxAnswer: 1 << 20, MaxTotal: 64 << 20}
	c.Drain = 30 * time.Second
}

// Preset returns what a file that says nothing would mean: the defaults of the reference. It is not valid,
// having no provider.
func Preset() (c Config, p Provider, r Route) {
	c.preset()
	p.preset(&c)
	r.preset(&c)
	return c, p, r
}

func (p *Provider) preset(*Config) { p.ConnectTimeout = 2 * time.Second }

func (r *Route) preset(c *Config) { r.Handling = c.Defaults }

// Load reads and checks a file. What is wrong with its content is an Errors.
func Load(path string, kinds *providers.Registry) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, data, kinds)
}

// Text returns the file as it was read, with its line ends made one kind; nil where there is none. It holds no secret: those
// are references.
func (c *Config) Text() []byte {
	if c.file.text == nil {
		return nil
	}
	return bytes.ReplaceAll(c.file.text, []byte("\r\n"), []byte("\n"))
}

// Parse checks a configuration whole. name is the file's, for errors, which are an Errors. It looks at the
// files that the configuration names (certificates, authorities, file: references), since one that cannot be
// read is an error too; it resolves no secret.
func Parse(name string, data []byte, kinds *providers.Registry) (*Config, error) {
	f := file{name: name, text: append([]byte{}, data...), kinds: kinds} // its own copy, and not nil
	d, err := f.decode()
	if err != nil {
		return nil, err
	}
	c := d.root
	d.check(c)
	beside := d.templates(c)
	if len(beside) == 0 && !d.bad["templates"] {
		d.checkVersions(c)
	}
	if len(d.errs)+len(beside) > 0 {
		errs := append(d.errs.finish(d.src), beside...)
		return nil, errs[:min(len(errs), mostErrors)]
	}
	f.places = &places{d.src, d.nodes}
	c.file = f
	return c, nil
}

// file is where a configuration was read.
type file struct {
	name   string
	text   []byte // nil: there is none
	kinds  *providers.Registry
	places *places // nil: they are found again in the text when somebody asks
}

// places are where the file has what, and what of it may be shown.
type places struct {
	*source
	nodes map[string]*node
}

// decode reads the text. The error is of its syntax; all else that is wrong the decoder has.
func (f *file) decode() (*decoder, error) {
	src := newSource(f.name, f.text)
	root, err := parse(f.text)
	if bad, ok := errors.AsType[*badSyntax](err); ok {
		return nil, Errors{src.faultAt(bad.at, "", bad.message)}.finish(src)
	}
	c := &Config{}
	c.preset()
	d := &decoder{src: src, kinds: f.kinds, root: c, nodes: map[string]*node{}, bad: map[string]bool{}}
	d.value(root, reflect.ValueOf(c).Elem(), "", "")
	return d, nil
}

// find finds places again, of a text that was valid when it was decoded first.
func (f *file) find() *places {
	if f.places != nil {
		return f.places
	}
	d, err := f.decode()
	if err != nil {
		return &places{newSource(f.name, f.text), nil}
	}
	for i := range d.root.Providers {
		p := &d.root.Providers[i]
		if kind, ok := f.kinds.Kind(p.Kind); ok {
			d.params(p, &kind, fmt.Sprintf("providers[%d]", i))
		}
	}
	return &places{d.src, d.nodes}
}

// settled is what stays of what Settle drops.
type settled struct {
	routes     bool            // the file has some
	objectives []slo.Objective // of routes
}

// Settle drops what only checks and errors ask for, and is ten times what routes take in the table: Routes, and where the file has
// what. It is called once, by whoever has the configuration for long, and before others read it. table is the configuration's,
// or what was bound of it, and is kept in its place. Errors that are found later have the same places: for each, the text is
// read again.
func (c *Config) Settle(table *routing.Table) {
	c.settled = settled{len(c.Routes) > 0, c.promised()}
	c.Routes, c.table, c.file.places = nil, table, nil
}

// promised is what is promised by Routes.
func (c *Config) promised() (out []slo.Objective) {
	for i := range c.Routes {
		r := &c.Routes[i]
		out = append(out, r.SLO.Objectives(r.Name, slo.Scope{Routes: []string{r.Name}})...)
	}
	return out
}

// lacks reports whether the file has routes, and none of a name.
func (c *Config) lacks(route string) bool {
	if c.settled.routes {
		return c.table.Route(route) == nil
	}
	return len(c.Routes) > 0 && !slices.ContainsFunc(c.Routes, func(r Route) bool { return r.Name == route })
}

// Default is the configuration without a file: every kind of provider whose usual key variable is set, and
// the mock.
func Default(kinds *providers.Registry, lookupEnv func(string) (string, bool)) *Config {
	c := &Config{}
	c.preset()
	c.Ledger.Store = "sqlite:run/ledger.db"
	for _, name := range kinds.Names() {
		k, _ := kinds.Kind(name)
		p := Provider{Name: k.Name, Kind: k.Name}
		p.preset(c)
		if k.Params != nil {
			p.Params = k.Params()
		}
		if k.Name != embedded {
			holder := k.KeyEnv
			v, _ := lookupEnv(holder)
			if v == "" && k.OtherEnv != "" {
				holder = k.OtherEnv
				v, _ = lookupEnv(holder)
			}
			if k.RegionEnv != "" {
				p.Region, _ = lookupEnv(k.RegionEnv)
			}
			at, _ := k.Locate(p.Region, p.Params)
			base, err := providers.ParseBase(at)
			if k.KeyEnv == "" || v == "" || err != nil {
				continue
			}
			p.Base, p.Key = base, secret.Ref("env:"+holder)
		}
		c.Providers = append(c.Providers, p)
	}
	c.build(kinds)
	return c
}
