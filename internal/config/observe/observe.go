// Package observe is the part of the configuration that says what is seen of exchanges: tags, traces, metrics and the
// log, and what is kept of evaluations. Its structs are decoded, documented and checked by internal/config, of which it is a part below.
package observe

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Observation is the sections at the top level of the file.
type Observation struct {
	Tags      Tags      `yaml:"tags" doc:"Tags of exchanges: short texts by name that say what a request is for. They stand in traces, in the ledger, and in metrics where telemetry.metrics.tags names them."`
	Telemetry Telemetry `yaml:"telemetry" doc:"Traces and metrics. Without an endpoint nothing is sent; the metrics page is always there."`
	Log       Log       `yaml:"log" doc:"The program's own log."`
	Evals     Evals     `yaml:"evals" doc:"Runs of evaluations that the store keeps. See [Evaluations](evals.md)."`
}

// Evals is what the store keeps of evaluations.
type Evals struct {
	Content   bool `yaml:"content" doc:"Lets runs keep what was answered, where signalbox eval is told to (--keep). Who may read a run reads it."`
	Retention int  `yaml:"retention" max:"36500" doc:"Days that a run is kept after its last outcome; 0: for ever."`
}

// Keep returns how long runs are kept; 0: for ever.
func (e *Evals) Keep() time.Duration { return time.Duration(e.Retention) * 24 * time.Hour }

// MaxTags is how many tags an exchange has at most from its request, and how many from its key.
const MaxTags = 16

// Tags says where tags come from.
type Tags struct {
	Headers  map[string]string `yaml:"headers" form:"tag" max:"16" doc:"Names of tags, and the request header that each comes from, as feature: x-feature. The header also goes on to the provider."`
	Metadata []string          `yaml:"metadata" form:"tag" max:"16" doc:"Members of the request's metadata that become tags of the same name: of metadata in OpenAI's and Anthropic's dialects, labels in Gemini's, requestMetadata in Bedrock's. A header's tag goes before one of the same name."`
}

// Any reports whether anything becomes a tag.
func (t *Tags) Any() bool { return len(t.Headers) > 0 || len(t.Metadata) > 0 }

// Telemetry is what is measured and where it goes.
type Telemetry struct {
	OTLP     OTLP              `yaml:"otlp" doc:"The collector that traces and metrics are sent to, by the OpenTelemetry protocol."`
	Resource map[string]string `yaml:"resource" form:"attribute" max:"64" doc:"Attributes of the resource, beside service.name, service.version, service.instance.id and host.name, as deployment.environment.name: production."`
	Traces   Traces            `yaml:"traces" doc:"Traces: a span for each exchange and each attempt."`
	Metrics  Metrics           `yaml:"metrics" doc:"Metrics."`
}

// OTLP is a collector.
type OTLP struct {
	Endpoint  string        `yaml:"endpoint" form:"url" zero:"nothing is sent" doc:"Its address, as http://127.0.0.1:4317 or https://otlp.example.com. Without a port it is 4317 for grpc, and 4318 for http:// over http."`
	Protocol  string        `yaml:"protocol" enum:"grpc,http" doc:"grpc, or http with protobuf. Over http, /v1/traces, /v1/metrics or /v1/logs is added to the endpoint's path."`
	PlainHTTP bool          `yaml:"plain_http" doc:"Allows an endpoint of http:// that is neither loopback nor a private address."`
	CA        string        `yaml:"ca" form:"file" doc:"File of the authorities (PEM) that its certificate is verified with, in place of the system's."`
	Headers   []Header      `yaml:"headers" max:"32" doc:"Headers of every request to it."`
	Compress  bool          `yaml:"compress" doc:"Compresses requests with gzip."`
	Timeout   time.Duration `yaml:"timeout" doc:"How long a request may take. Of telemetry, one that fails is sent again for a minute."`
}

// Header is a header of requests to a collector.
type Header struct {
	Name   string     `yaml:"name" form:"tag" required:"true" doc:"Its name, in lower case."`
	Value  string     `yaml:"value" form:"path" doc:"Its value, where that is no secret."`
	Secret secret.Ref `yaml:"secret" doc:"Its value, by reference: env:NAME, file:PATH or exec:COMMAND."`
}

// Traces says what is traced.
type Traces struct {
	Export       bool     `yaml:"export" doc:"Sends traces to the collector."`
	Sample       string   `yaml:"sample" form:"sample" doc:"How many of the exchanges are traced whose client does not decide that."`
	FollowParent bool     `yaml:"follow_parent" doc:"Lets a client's traceparent decide whether its exchange is traced; otherwise only sample does. The exchange is part of the client's trace either way."`
	Errors       bool     `yaml:"errors" doc:"Also traces exchanges and attempts that failed, whatever else was decided. The end is known when spans are made."`
	Propagate    []string `yaml:"propagate" form:"name" max:"1000" doc:"Providers that get a traceparent of ours, so that their spans are below the attempt's. While exchanges are traced, traceparent and tracestate go to no other provider."`
	Content      bool     `yaml:"content" doc:"Puts what is said into the spans of sampled exchanges: prompts up to 256 KiB, and of answers that are translated the first 64 KiB. Other answers do not pass through the service. It goes wherever traces go."`
	Queue        int      `yaml:"queue" min:"16" max:"1000000" doc:"Most spans that wait to be sent. Further ones are dropped and counted."`
}

// Metrics says what is measured.
type Metrics struct {
	Export   bool          `yaml:"export" doc:"Sends metrics to the collector too."`
	Interval time.Duration `yaml:"interval" doc:"How often."`
	Values   int           `yaml:"values" min:"10" max:"100000" doc:"Most values of a label whose values come from configurations or clients. Further ones are counted under other."`
	Series   int           `yaml:"series" min:"100" max:"1000000" doc:"Most combinations of labels of a metric."`
	Tags     []string      `yaml:"tags" form:"tag" max:"16" doc:"Tags that have metrics of their own."`
}

// Log is the program's log.
type Log struct {
	Level  string `yaml:"level" enum:"debug,info,warn,error" doc:"The least level that is written. debug has a line for every exchange and attempt."`
	Format string `yaml:"format" enum:"text,json" doc:"The form of a line."`
}

// Preset fills in what holds where the file says nothing.
func (o *Observation) Preset() {
	o.Log = Log{Level: "info", Format: "text"}
	o.Evals = Evals{Retention: 365}
	o.Telemetry = Telemetry{
		OTLP:    OTLP{Protocol: "grpc", Compress: true, Timeout: 10 * time.Second},
		Traces:  Traces{Export: true, Sample: "100%", FollowParent: true, Errors: true, Queue: 8192},
		Metrics: Metrics{Export: true, Interval: time.Minute, Values: 500, Series: 5000},
	}
}

// Traced reports whether exchanges are traced: to send spans, or to hand traces on.
func (t *Telemetry) Traced() bool {
	return t.OTLP.Endpoint != "" && t.Traces.Export || len(t.Traces.Propagate) > 0
}

// Files lists the files that are named.
func (t *Telemetry) Files() []string {
	var out []string
	if t.OTLP.CA != "" {
		out = append(out, t.OTLP.CA)
	}
	for _, h := range t.OTLP.Headers {
		if f, ok := h.Secret.File(); ok {
			out = append(out, f)
		}
	}
	return out
}

// whole is 100 %, in the unit of Millionths.
const whole = 1_000_000

// Millionths returns a share, as 2.5%, in millionths.
func Millionths(percent string) (int, error) {
	bad := errors.New("must be a share such as 10% or 0.5%, from 0% to 100%, with at most four decimal places")
	digits, ok := strings.CutSuffix(percent, "%")
	if !ok || !number.MatchString(digits) {
		return 0, bad
	}
	f, err := strconv.ParseFloat(digits, 64)
	n := int(f*whole/100 + .5)
	if err != nil || n > whole {
		return 0, bad
	}
	return n, nil
}

var (
	number    = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,4})?$`)
	tag       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	attribute = regexp.MustCompile(`^[A-Za-z0-9][\x20-\x7e]{0,254}$`)
)

// Form checks a text of one of the forms that stand in this package alone. Its errors do not repeat it.
func Form(form, s string) error {
	switch form {
	case "sample":
		_, err := Millionths(s)
		return err
	case "tag":
		if !tag.MatchString(s) {
			return errors.New("has letters, digits, dot, dash and underscore, begins with a letter or digit, and has at most 64 characters")
		}
	case "attribute":
		if !attribute.MatchString(s) {
			return errors.New("has printable ASCII characters, begins with a letter or digit, and has at most 255")
		}
	}
	return nil
}

// Pattern returns the regular expression of a form that has one, for the schema.
func Pattern(form string) string {
	switch form {
	case "sample":
		return `^[0-9]{1,3}(\.[0-9]{1,4})?%$`
	case "tag":
		return tag.String()
	case "attribute":
		return attribute.String()
	}
	return ""
}
