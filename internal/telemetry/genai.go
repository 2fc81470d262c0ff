package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// genAIMeters are the metrics of OpenTelemetry's conventions for generative AI. Toward clients we are a server, toward
// providers a client.
type genAIMeters struct {
	server *family[*serverMeters]
	client *family[*clientMeters]
}

// serverMeters are those of an operation, a kind of provider, a model and a route.
type serverMeters struct {
	took        outcomes
	first, each later
}

// clientMeters are those of an operation, a kind of provider, a model and a provider.
type clientMeters struct {
	took                 outcomes
	first, input, output later
}

// outcomes are durations by the class of the error.
type outcomes struct {
	well   later
	failed *family[prometheus.Observer]
}

func (o *outcomes) of(code string) prometheus.Observer {
	if code == "" {
		return o.well.get()
	}
	return o.failed.get(key{code})
}

func newGenAI(k *maker) genAIMeters {
	served, labels := k.histograms("gen_ai_server_request_duration_seconds")
	first, _ := k.histograms("gen_ai_server_time_to_first_token_seconds")
	each, _ := k.histograms("gen_ai_server_time_per_output_token_seconds")
	took := k.room()
	server := familyOf(k, labels[:4], func(at key) *serverMeters {
		return &serverMeters{took: newOutcomes(k, served, took, at), first: with(first, nil, at[:]...), each: with(each, nil, at[:]...)}
	})
	called, labels := k.histograms("gen_ai_client_operation_duration_seconds")
	chunk, _ := k.histograms("gen_ai_client_operation_time_to_first_chunk_seconds")
	tokens, _ := k.histograms("gen_ai_client_token_usage")
	taken, used := k.room(), k.room()
	client := familyOf(k, labels[:4], func(at key) *clientMeters {
		return &clientMeters{
			took: newOutcomes(k, called, taken, at), first: with(chunk, nil, at[:]...),
			input: with(tokens, used, append(at[:], "input")...), output: with(tokens, used, append(at[:], "output")...),
		}
	})
	return genAIMeters{server, client}
}

// with makes a child when it is first used. r is the metric's, where a family has more than one child in it; nil: it has not.
func with(v *prometheus.HistogramVec, r *room, values ...string) later {
	return later{make: func() prometheus.Observer {
		if r != nil && !r.take(1) {
			values = others(len(values))
		}
		return v.WithLabelValues(values...)
	}}
}

func newOutcomes(k *maker, v *prometheus.HistogramVec, r *room, at key) outcomes {
	return outcomes{
		well: with(v, r, append(at[:], "")...),
		failed: familyOf(k, []string{"error_type"}, func(code key) prometheus.Observer {
			return with(v, r, append(at[:], code[0])...).make()
		}),
	}
}

// served counts an exchange.
func (g *genAIMeters) served(e *Exchange, trace string) {
	c := &e.Call
	v := g.server.get(key{c.Operation, c.System, c.Model, e.Route})
	if e.Took > 0 {
		observe(v.took.of(e.Error), e.Took.Seconds(), trace)
	}
	if !c.Stream || e.Error != "" || e.First <= 0 {
		return
	}
	observe(v.first.get(), e.First.Seconds(), trace)
	if e.Output > 1 && e.Took > e.First {
		observe(v.each.get(), (e.Took-e.First).Seconds()/float64(e.Output-1), trace)
	}
}

// called counts an attempt.
func (g *genAIMeters) called(a *Attempt, trace string) {
	c, code := &a.Call, ""
	if a.Code != llm.CodeNone {
		code = a.Code.String()
	}
	v := g.client.get(key{c.Operation, c.System, c.Model, c.Provider})
	if a.Took > 0 {
		observe(v.took.of(code), a.Took.Seconds(), trace)
	}
	if c.Stream && code == "" && a.First > 0 {
		observe(v.first.get(), a.First.Seconds(), trace)
	}
}

// used counts the tokens of an exchange.
func (g *genAIMeters) used(c *Call, u *llm.Usage) {
	v := g.client.get(key{c.Operation, c.System, c.Model, c.Provider})
	if u.Input.Known && u.Input.N >= 0 {
		v.input.get().Observe(float64(u.Input.N))
	}
	if u.Output.Known && u.Output.N >= 0 {
		v.output.get().Observe(float64(u.Output.N))
	}
}
