package exchange_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
)

// removedByEnvoy reports whether the last filter before an upstream takes a header out of every request.
// It is the one list of what an attempt may leave behind.
func removedByEnvoy(name string) bool {
	return name == "x-signalbox-watch" || name == "x-signalbox-usage" || name == "x-signalbox-idle" || name == "x-forwarded-proto" || strings.HasPrefix(name, "x-envoy-")
}

// envoy is what Envoy keeps of one request: attempts share one header map, and the body is stored for
// retries as the plan stage left it.
type envoy struct {
	bare    bool // the request has no body
	ticket  string
	header  exchange.Header
	body    []byte
	order   []int // of the steps, where they are not the plan's own
	attempt *attempt
}

// attempt is one attempt's filter and what is between it and the client.
type attempt struct {
	a      *exchange.Attempt // nil once the filter is out of the way
	heads  int               // messages not replied to
	chunks int
}

// mutate changes a header map as Envoy does: removals first, then each set in place of all values.
func mutate(h exchange.Header, r *exchange.Reply) exchange.Header {
	out := slices.Clone(h)
	remove := func(name string) {
		out = slices.DeleteFunc(out, func(f providers.Header) bool { return f.Name == name })
	}
	for _, n := range r.Remove {
		remove(n)
	}
	for _, s := range r.Set {
		remove(s.Name)
		out = append(out, s)
	}
	return out
}

// request METHOD PATH [end], with headers and a body that stands behind bars.
func (r *rig) request(c *command) {
	r.n++
	h := map[string][]string{
		"x-request-id": {"request-" + itoa(r.n)}, "content-type": {"application/json"}, "x-forwarded-proto": {"https"}, "accept-encoding": {"gzip"},
	}
	body := r.inputHeaders(c, h)
	head := exchange.Header{{Name: ":method", Value: c.words[1]}, {Name: ":path", Value: c.words[2]}, {Name: ":authority", Value: "gateway.example"}, {Name: ":scheme", Value: "https"}}
	for _, n := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[n] {
			head = append(head, providers.Header{Name: n, Value: v})
		}
	}
	r.envoy = envoy{header: head}
	x := r.core.Begin()
	reply := x.Head(context.Background(), head, len(c.words) > 3)
	if reply.To != exchange.ToRequestHead {
		r.fatalf("the reply to the head says that it is to %d", reply.To)
	}
	bare := reply.Plan != nil // the head was all
	if reply.Answer == nil && !bare {
		reply = r.waited(x, x.Body(r.t.Context(), []byte(body)))
		if reply.To != exchange.ToRequestBody || !reply.Done {
			r.fatalf("the reply to the body is %+v", reply)
		}
	}
	if reply.Answer != nil {
		r.answered("refused", reply.Answer)
		return
	}
	e := &r.envoy
	e.ticket, e.body, e.bare = reply.Plan.Ticket, []byte(body), bare
	if reply.Replace {
		e.body = reply.Body
	}
	e.header = mutate(e.header, &reply)
	r.planned(&reply)
}

// inputHeaders reads header lines into h; a line -NAME removes one. It returns the body.
func (r *rig) inputHeaders(c *command, h map[string][]string) string {
	var body []string
	own := map[string]bool{}
	for _, l := range c.input {
		if b, ok := strings.CutPrefix(l, "|"); ok {
			body = append(body, strings.TrimPrefix(b, " "))
			continue
		}
		if n, ok := strings.CutPrefix(l, "-"); ok {
			delete(h, n)
			continue
		}
		n, v, ok := strings.Cut(l, ": ")
		if !ok {
			r.fatalf("no header and no body: %q", l)
		}
		if !own[n] {
			own[n] = true
			h[n] = nil
		}
		h[n] = append(h[n], v)
	}
	return strings.Join(body, "\n")
}

// holdsCredential reports whether a ticket has one of the secrets anywhere, or what begins like every credential of the scripts
// anywhere but in the lease, which is drawn at random and may have any letters.
func holdsCredential(t *ticket.Ticket, secrets map[string]string) bool {
	whole := t.Encode()
	for s := range secrets {
		if strings.Contains(whole, s) {
			return true
		}
	}
	said := *t
	said.Lease = ""
	return strings.Contains(said.Encode(), "sk-")
}

func (r *rig) planned(reply *exchange.Reply) {
	t, err := ticket.Read(reply.Plan.Ticket)
	if err != nil {
		r.fatalf("the plan's ticket: %v", err)
	}
	if holdsCredential(t, r.secrets) {
		r.fatalf("a credential is in the ticket: %s", reply.Plan.Ticket)
	}
	r.sayf("plan %s", strings.Join(reply.Plan.Clusters, " "))
	for _, l := range t.Steps {
		if !l.Spare && !l.Same && !l.Turn && l.Round == 0 {
			r.sayf("step %s key %q %s", l.Target(), l.Key, l.Path)
		}
	}
	for _, h := range reply.Set {
		if strings.HasPrefix(h.Name, "x-envoy-") || strings.HasPrefix(h.Name, "x-signalbox-") {
			r.sayf("for envoy %s: %s", h.Name, h.Value)
		}
	}
}

// sent writes what the provider gets, once Envoy's last filter took out what is Envoy's.
func (r *rig) sent(cluster string, body []byte, a *exchange.Prepared) {
	get := r.envoy.header.Get
	r.sayf("sent %s %s%s", get(":method"), get(":authority"), get(":path"))
	var lines []string
	for _, h := range r.envoy.header {
		if h.Name[0] == ':' || removedByEnvoy(h.Name) {
			continue
		}
		if strings.HasPrefix(h.Name, "x-signalbox-") {
			r.fatalf("%s would reach %s", h.Name, cluster)
		}
		for s, owner := range r.secrets {
			if strings.Contains(h.Value, s) && owner != cluster {
				r.fatalf("the secret of %s would reach %s in %s", owner, cluster, h.Name)
			}
		}
		lines = append(lines, h.Name+": "+h.Value)
	}
	slices.Sort(lines)
	for _, l := range lines {
		r.sayf("  %s", l)
	}
	if n := get("content-length"); n != "" && n != itoa(len(body)) {
		r.fatalf("content-length is %s, the body has %d bytes", n, len(body))
	}
	if a != nil && a.Length != len(body) {
		r.fatalf("the prepared length is %d, the body has %d bytes", a.Length, len(body))
	}
	if a != nil && a.Target != "" {
		r.sayf("shown as %s", a.Target)
	}
	if a != nil && a.Losses != "" {
		r.sayf("losses shown %s", a.Losses)
	}
	r.bytes(body)
}

// bytes writes a body behind bars, as scripts write it.
func (r *rig) bytes(b []byte) {
	const most = 4000
	if len(b) == 0 {
		return
	}
	rest := ""
	if len(b) > most {
		b, rest = b[:200], "| … "+itoa(len(b))+" bytes in all"
	}
	text := strings.TrimSuffix(string(b), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		r.sayf("| %s", line)
	}
	if rest != "" {
		r.sayf("%s", rest)
	}
}

// try is attempt N CLUSTER: Envoy sends attempt N, through the filter that the plan chose.
func (r *rig) try(c *command) {
	n, cluster := r.int(c.words[1]), c.words[2]
	e := &r.envoy
	e.attempt = &attempt{}
	if cluster == exchange.ServiceCluster && r.core.Turns(e.ticket, n) {
		a, answer := r.core.Turn(r.t.Context(), e.ticket, n, e.header)
		if answer != nil {
			r.answered("answer", answer)
			return
		}
		e.attempt.a = a
		reply := a.Request(r.t.Context(), e.body)
		e.header = mutate(e.header, &reply)
		r.sayf("turns")
		return
	}
	if cluster == exchange.ServiceCluster {
		r.answered("answer", r.core.Verdict(r.t.Context(), e.ticket, e.header))
		return
	}
	watch := e.header.Get("x-signalbox-watch")
	if n == 1 && watch == "0" {
		r.sent(cluster, e.body, nil)
		return
	}
	if r.core.Hears(e.ticket, n) {
		r.core.Hear(r.t.Context(), e.ticket, n)
	}
	a, answer := r.core.Try(e.ticket, n, cluster, e.header)
	if answer != nil {
		r.answered("answer", answer)
		return
	}
	if a == nil {
		r.answered("answer", r.core.Verdict(r.t.Context(), e.ticket, e.header))
		return
	}
	e.attempt.a = a
	if n == 1 && watch == "1" {
		r.sent(cluster, e.body, nil)
		return
	}
	to := exchange.ToRequestBody
	var reply exchange.Reply
	if e.bare {
		to, reply = exchange.ToRequestHead, a.Bare(r.t.Context())
	} else {
		reply = a.Request(r.t.Context(), e.body)
	}
	if reply.To != to && reply.Answer == nil {
		r.fatalf("the reply to the request says that it is to %d", reply.To)
	}
	if reply.Answer != nil {
		r.answered("answer", reply.Answer)
		r.done()
		return
	}
	for _, s := range all.Kinds().Sets() {
		if !slices.Contains(reply.Remove, s) {
			r.fatalf("%s of an earlier attempt would stay", s)
		}
	}
	e.header = mutate(e.header, &reply)
	r.sent(cluster, reply.Body, reply.Attempt)
}

// done ends the filter's stream.
func (r *rig) done() {
	if a := r.envoy.attempt; a.a != nil {
		a.a.End()
		a.a = nil
	}
}

// replies checks that they answer what waits, in order, and writes them down.
func (r *rig) replies(rs []exchange.Reply) {
	at := r.envoy.attempt
	if len(rs) == 0 {
		r.sayf("held")
		return
	}
	var client bytes.Buffer
	pass, replaced := 0, false
	for i := range rs {
		p := &rs[i]
		if p.Answer != nil {
			r.answered("answer", p.Answer)
			r.ends(rs[i:])
			return
		}
		switch {
		case p.To == exchange.ToAnswerHead && at.heads == 1:
			at.heads--
			r.head(p)
		case p.To == exchange.ToAnswerChunk && at.heads == 0 && at.chunks > 0:
			at.chunks--
			if p.Replace {
				replaced = true
				client.Write(p.Body)
			} else {
				pass++
			}
		default:
			r.fatalf("reply %d to %d, but %d heads and %d chunks wait", i, p.To, at.heads, at.chunks)
		}
		if p.Done {
			r.passed(pass, replaced, client.Bytes())
			r.ends(rs[i:])
			return
		}
	}
	r.passed(pass, replaced, client.Bytes())
}

func (r *rig) ends(rest []exchange.Reply) {
	if len(rest) != 1 {
		r.fatalf("%d replies after the last", len(rest)-1)
	}
	if rest[0].Answer == nil && (r.envoy.attempt.heads > 0 || r.envoy.attempt.chunks > 0) {
		r.fatalf("the filter leaves %d heads and %d chunks without a reply", r.envoy.attempt.heads, r.envoy.attempt.chunks)
	}
	r.sayf("done")
	r.done()
}

func (r *rig) head(p *exchange.Reply) {
	switch {
	case mutate(nil, p).Get("x-signalbox-retry") != "":
		r.sayf("next target (%d)", p.Status)
		if len(p.Steps) > 0 {
			r.sayf("  plan %s", strings.Join(p.Steps, " "))
			if r.envoy.order = p.Order; len(p.Order) != len(p.Steps) {
				r.fatalf("%d clusters are the steps %v", len(p.Steps), p.Order)
			}
		}
		return
	case p.Status != 0:
		r.sayf("head with status %d", p.Status)
	default:
		r.sayf("head passes")
	}
	for _, n := range p.Remove {
		r.sayf("  -%s", n)
	}
	for _, h := range p.Set {
		r.sayf("  %s: %s", h.Name, h.Value)
	}
}

func (r *rig) passed(n int, replaced bool, client []byte) {
	switch {
	case n == 1:
		r.sayf("chunk passes")
	case n > 1:
		r.sayf("%d chunks pass", n)
	}
	if replaced {
		r.sayf("client gets %d bytes", len(client))
		r.bytes(client)
	}
}

func (r *rig) answered(how string, a *exchange.Answer) {
	r.sayf("%s %d", how, a.Status)
	for _, h := range a.Header {
		r.sayf("  %s: %s", h.Name, h.Value)
	}
	r.bytes(a.Body)
}
