package exchange_test

import (
	"bytes"
	"compress/gzip"
	"net/netip"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/idempotency/memory"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
)

// do runs a command.
func (r *rig) do(c *command) {
	if r.setup(c) {
		r.stale = true
		return
	}
	r.start()
	switch c.words[0] {
	case "request":
		r.request(c)
	case "attempt":
		r.try(c)
	case "spend":
		r.spend(c.words[1], r.int(c.words[2]), strings.Join(c.input, "\n"))
	case "answer":
		r.answer(c)
	case "chunk":
		r.chunk(r.content(c), c.words[len(c.words)-1] == "end")
	case "end":
		r.chunk(nil, true)
	case "advance":
		r.advance(r.duration(c.words[1]))
	case "leave":
		r.done()
	case "log":
		r.logged(c)
	case "sweep":
		r.sayf("swept %d", r.core.Sweep())
		r.sayf("live %d", r.core.Live())
	case "ticket":
		r.ticket(c.words[1:])
	case "restart":
		r.core, r.stale = nil, true
	default:
		r.fatalf("unknown command %q", c.words[0])
	}
}

// setup runs the commands that configure.
func (r *rig) setup(c *command) bool {
	args := c.words[1:]
	switch c.words[0] {
	case "provider":
		r.provider(args)
	case "forget":
		delete(r.config.providers, args[0])
	case "route":
		r.route(args)
	case "alias":
		r.config.aliases[args[0]] = args[1]
	case "client":
		r.client(args)
	case "own":
		r.config.own[auth.Provision{Organization: auth.DefaultOrganization, Team: args[0], Provider: args[1]}] = secret.New(args[2])
		r.secrets[args[2]] = args[1]
	case "template":
		r.template(args, c.input)
	case "counting":
		r.config.counts = true
	case "idempotency":
		r.config.once = idempotency.New(idempotency.Params{Store: memory.New(memory.Params{}), Most: int64(r.int(args[0]))})
	case "queue":
		r.queue(args)
	case "limit":
		n := int64(r.int(args[1]))
		if args[0] == "body" {
			r.config.maxBody = n
		} else {
			r.config.maxAnswer = n
		}
	default:
		return false
	}
	return true
}

// client NAME SECRET [member=VALUE,…]….
func (r *rig) client(args []string) {
	hash, err := auth.ParseHash(auth.HashKey(args[1]))
	if err != nil {
		r.fatalf("%v", err)
	}
	k := &auth.Key{ID: args[0], Name: args[0], Hash: hash, Role: auth.RoleMember, Owner: auth.Owner{Organization: auth.DefaultOrganization}}
	for _, a := range args[2:] {
		name, value, _ := strings.Cut(a, "=")
		for v := range strings.SplitSeq(value, ",") {
			r.grant(k, name, v)
		}
	}
	r.config.clients = append(r.config.clients, k)
	r.secrets[args[1]] = "client " + args[0]
}

func (r *rig) grant(k *auth.Key, name, v string) {
	var err error
	ok := true
	switch name {
	case "organization":
		k.Organization = v
	case "team":
		k.Team = v
	case "project":
		k.Project = v
	case "role":
		k.Role, ok = auth.ParseRole(v)
	case "models":
		k.Scope.Models = append(k.Scope.Models, v)
	case "routes":
		k.Scope.Routes = append(k.Scope.Routes, v)
	case "operations":
		var o llm.Op
		o, ok = auth.ParseOperation(v)
		k.Scope.Operations = append(k.Scope.Operations, o)
	case "regions":
		k.Scope.Regions = append(k.Scope.Regions, v)
	case "networks":
		var n netip.Prefix
		n, err = auth.ParseNetwork(v)
		k.Scope.Networks = append(k.Scope.Networks, n)
	case "templates":
		k.Scope.Templates = append(k.Scope.Templates, v)
	case "expires":
		k.Expires, err = time.Parse(time.RFC3339, v)
	default:
		ok = false
	}
	if err != nil || !ok {
		r.fatalf("%s=%s: %v", name, v, err)
	}
}

// spend CLUSTER N, with a body: so many other requests go to a cluster with their second attempt.
func (r *rig) spend(cluster string, n int, body string) {
	out := r.out
	for i := range n {
		_, reply := r.ask("other-"+itoa(i), strings.TrimPrefix(body, "| "))
		if reply.Plan == nil {
			r.fatalf("it is refused: %s", reply.Answer.Body)
		}
		if a, answer := r.core.Try(reply.Plan.Ticket, 2, cluster, nil); a == nil || answer != nil {
			r.fatalf("attempt %d of them is not made", i)
		}
	}
	r.out = out
}

// answer STATUS [end], with headers: the head of the provider's answer.
func (r *rig) answer(c *command) {
	h := map[string][]string{}
	if body := r.inputHeaders(c, h); body != "" {
		r.fatalf("a body belongs into a chunk")
	}
	head := exchange.Header{{Name: ":status", Value: c.words[1]}}
	for n, vs := range h {
		for _, v := range vs {
			head = append(head, providers.Header{Name: n, Value: v})
		}
	}
	at := r.envoy.attempt
	if at == nil || at.a == nil {
		r.sayf("unseen")
		return
	}
	at.heads = 1
	r.replies(at.a.AnswerHead(r.int(c.words[1]), head, len(c.words) > 2))
}

func (r *rig) chunk(b []byte, end bool) {
	at := r.envoy.attempt
	if at == nil || at.a == nil {
		r.sayf("unseen")
		return
	}
	at.chunks++
	rs, err := at.a.AnswerChunk(b, end)
	if err != nil {
		r.sayf("reset: %v", err)
		r.done()
		return
	}
	r.replies(rs)
}

// content makes the bytes of a chunk: its lines as they are, or
//
//	sse     each line is a frame, "data" or "event data"; a line that begins with a colon is a comment
//	quoted  the one line is a Go string
//	size N  N spaces
//
// with gzip compressed, and with end the last.
func (r *rig) content(c *command) []byte {
	b := []byte(strings.Join(c.input, "\n"))
	for i, form := range c.words[1:] {
		switch form {
		case "sse":
			b = frames(c.input)
		case "quoted":
			s, err := strconv.Unquote(string(b))
			if err != nil {
				r.fatalf("%q: %v", b, err)
			}
			b = []byte(s)
		case "size":
			b = bytes.Repeat([]byte{' '}, r.int(c.words[i+2]))
		case "gzip":
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			_, _ = w.Write(b)
			_ = w.Close()
			b = z.Bytes()
		}
	}
	return b
}

// frames writes server-sent events, one a line.
func frames(lines []string) []byte {
	var b strings.Builder
	for _, l := range lines {
		name, data, named := strings.Cut(l, " ")
		switch {
		case l[0] == ':':
			b.WriteString(l + "\n\n")
		case named && !strings.ContainsAny(name, `{"[`):
			b.WriteString("event: " + name + "\ndata: " + data + "\n\n")
		default:
			b.WriteString("data: " + l + "\n\n")
		}
	}
	return []byte(b.String())
}

// advance lets time pass, and the attempt's deadline with it.
func (r *rig) advance(d time.Duration) {
	time.Sleep(d)
	at := r.envoy.attempt
	if at == nil || at.a == nil {
		return
	}
	due, ok := at.a.Deadline()
	if !ok || time.Now().Before(due) {
		return
	}
	r.sayf("expired")
	rs, err := at.a.Expire()
	if err != nil {
		r.sayf("reset: %v", err)
		r.done()
		return
	}
	r.replies(rs)
}

// logged is log attempt CLUSTER STATUS … or log request STATUS ….
func (r *rig) logged(c *command) {
	h := map[string][]string{}
	r.inputHeaders(c, h)
	var head exchange.Header
	for n, vs := range h {
		head = append(head, providers.Header{Name: n, Value: vs[0]})
	}
	if c.words[1] == "attempt" {
		e := exchange.AttemptEntry{ID: r.envoy.header.Get("x-request-id"), Cluster: c.words[2], Status: r.int(c.words[3]), Header: head}
		r.details(c.words[4:], &e, &exchange.Outcome{})
		r.core.AttemptLogged(e)
		return
	}
	var e exchange.AttemptEntry
	o := exchange.Outcome{Ticket: r.envoy.ticket, Status: r.int(c.words[2])}
	o.Order = r.envoy.order
	r.details(c.words[3:], &e, &o)
	o.Ending, o.Took, o.First = e.Ending, e.Took, e.First
	live := r.core.Live()
	r.core.RequestLogged(o)
	synctest.Wait()
	if r.core.Live() >= max(live, 1) { // it waits for the entries of its attempts
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
	}
}

func (r *rig) details(words []string, e *exchange.AttemptEntry, o *exchange.Outcome) {
	for _, w := range words {
		n, v, set := strings.Cut(w, "=")
		switch {
		case n == "took":
			e.Took = r.duration(v)
		case n == "first":
			e.First = r.duration(v)
		case n == "tries":
			o.Tries = r.int(v)
		case n == "usage":
			in, out, _ := strings.Cut(v, "/")
			o.Usage = llm.Usage{Input: llm.Tokens(int64(r.int(in))), Output: llm.Tokens(int64(r.int(out)))}
		case n == "partial":
			o.Partial = true
		case !set:
			e.Ending = r.ending(n)
		default:
			r.fatalf("unknown detail %q", w)
		}
	}
}

func (r *rig) ending(name string) exchange.Ending {
	for e := exchange.EndedWell; e <= exchange.EndedInternally; e++ {
		if e.String() == name {
			return e
		}
	}
	r.fatalf("unknown ending %q", name)
	return 0
}

// ticket cut N | replace OLD NEW | none: what became of the metadata.
func (r *rig) ticket(args []string) {
	switch t := &r.envoy.ticket; args[0] {
	case "cut":
		*t = (*t)[:r.int(args[1])]
	case "replace":
		if !strings.Contains(*t, args[1]) {
			r.fatalf("the ticket has no %s: %s", args[1], *t)
		}
		*t = strings.Replace(*t, args[1], args[2], 1)
	case "none":
		*t = ""
	default:
		r.fatalf("unknown change %q", args[0])
	}
}
