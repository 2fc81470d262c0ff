package extproc

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/providers"
)

// Namespaces of the dynamic metadata between us and Envoy. Clients cannot write it.
const (
	NamespacePlan    = "signalbox.plan"
	NamespaceTicket  = "signalbox.ticket"
	NamespaceAttempt = "signalbox.attempt"
	NamespaceOwn     = "signalbox.own"    // marks an answer of ours, which Envoy sends as it is
	NamespaceLimits  = "signalbox.limits" // what the client is told of its limits, by the names of headers
)

// patience asks Envoy to wait longer for the reply that is due, once. Alone in a ProcessingResponse it is no reply.
type patience time.Duration

// AppendTo implements grpcwire.Message: override_message_timeout.
func (p patience) AppendTo(dst []byte) (out, tail []byte) {
	d := time.Duration(p) + time.Second // our own deadline comes first
	w := writer{b: dst}
	w.open(10)
	w.b = protowire.AppendVarint(protowire.AppendTag(w.b, 1, protowire.VarintType), uint64(d/time.Second))
	if ns := d % time.Second; ns > 0 {
		w.b = protowire.AppendVarint(protowire.AppendTag(w.b, 2, protowire.VarintType), uint64(ns))
	}
	w.close(0)
	return w.b, nil
}

// response is a reply as Envoy's ProcessingResponse.
type response exchange.Reply

// AppendTo encodes the response. The body that it carries stands last and is returned as the tail.
func (r *response) AppendTo(dst []byte) (out, tail []byte) {
	w := writer{b: dst}
	if r.Answer != nil {
		w.immediate(r.Answer, r.Limits)
		return w.b, nil
	}
	if r.Plan != nil || r.Attempt != nil {
		w.open(8)
		w.dynamic(r)
		w.limits(r.Limits)
		w.close(0)
	}
	if r.Plan != nil {
		w.plan(r.Plan.Clusters, nil)
	}
	if len(r.Steps) > 0 {
		w.plan(r.Steps, r.Order)
	}
	if r.Replace {
		tail = r.Body
	}
	switch r.To {
	case exchange.ToRequestHead:
		w.open(1)
	case exchange.ToRequestBody:
		w.open(3)
	case exchange.ToAnswerHead:
		w.open(2)
	case exchange.ToAnswerChunk:
		w.open(4)
	}
	w.open(1) // CommonResponse
	if len(r.Set) > 0 || len(r.Remove) > 0 || r.Status != 0 {
		w.open(2)
		w.headers(1, r.Set)
		if r.Status != 0 {
			w.header(1, ":status", strconv.Itoa(r.Status))
		}
		for _, name := range r.Remove {
			w.text(2, name)
		}
		w.close(0)
	}
	if r.Plan != nil {
		w.flag(5) // clear_route_cache
	}
	if r.Replace {
		w.open(3) // BodyMutation
		if len(tail) == 0 {
			w.flag(2) // clear_body
		} else {
			w.b = protowire.AppendVarint(protowire.AppendTag(w.b, 1, protowire.BytesType), uint64(len(tail)))
		}
		w.close(len(tail))
	}
	w.close(len(tail))
	w.close(len(tail))
	return w.b, tail
}

// steps is the type of the metadata that carries the plan.
const steps = "type.googleapis.com/envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupsOverride"

// plan writes the typed metadata that carries the plan: a group of one cluster for each attempt. Envoy copies such metadata
// three times on the way into its log, each time as bytes; of a Struct it copies every member. Envoy does nothing with the
// name of a group that has clusters: where they are not the plan's own, it is the number of the step, for the log.
func (w *writer) plan(clusters []string, order []int) {
	w.open(13)
	w.text(1, NamespacePlan)
	w.open(2) // Any
	w.text(1, steps)
	w.open(2)
	for i, c := range clusters {
		w.open(1) // PriorityGroup
		if order == nil {
			w.text(1, c)
		} else {
			w.text(1, strconv.Itoa(order[i]))
		}
		w.open(2) // ClusterWeight
		w.text(1, c)
		w.open(2) // UInt32Value
		w.flag(1)
		w.end(3)
	}
	w.end(3)
}

// dynamic writes the metadata that carries the ticket and what the attempt's last filter needs: a
// Struct of one Struct for each namespace.
func (w *writer) dynamic(r *response) {
	if p := r.Plan; p != nil {
		w.object(NamespaceTicket)
		w.member("ticket", p.Ticket)
		w.member("dialect", string(p.Dialect))
		if p.Waited != "" {
			w.member("waited", p.Waited)
		}
		if p.Health != "" {
			w.member("health", p.Health)
		}
		w.end(3)
	}
	if a := r.Attempt; a != nil {
		w.object(NamespaceAttempt)
		w.member("len", strconv.Itoa(a.Length))
		if a.Target != "" {
			w.member("target", a.Target)
			w.member("attempts", strconv.Itoa(a.Number))
		}
		if a.Losses != "" || a.Number > 1 { // an earlier attempt may have named some
			w.member("losses", a.Losses)
		}
		if a.Tokens != "" || a.Number > 1 && a.Target != "" { // an earlier attempt may have had others
			w.member("tokens", a.Tokens)
		}
		w.end(3)
	}
}

// limits writes what the client is told of its limits: headers that Envoy's first filter adds to the answer, after it has
// taken out the provider's.
func (w *writer) limits(all []providers.Header) {
	if len(all) == 0 {
		return
	}
	w.object(NamespaceLimits)
	for _, h := range all {
		w.member(h.Name, h.Value)
	}
	w.end(3)
}

// immediate writes an answer of our own.
func (w *writer) immediate(a *exchange.Answer, limits []providers.Header) {
	w.open(8)
	w.object(NamespaceOwn)
	w.member("body", "1")
	w.end(3)
	w.limits(limits)
	w.close(0)
	w.open(7)
	w.open(1) // HttpStatus
	if a.Status != 0 {
		w.b = protowire.AppendVarint(protowire.AppendTag(w.b, 1, protowire.VarintType), uint64(a.Status))
	}
	w.close(0)
	w.open(2)
	w.headers(1, a.Header)
	w.close(0)
	if len(a.Body) > 0 {
		w.b = protowire.AppendBytes(protowire.AppendTag(w.b, 3, protowire.BytesType), a.Body)
	}
	w.text(5, "signalbox")
	w.close(0)
}

// writer appends an encoded message. Messages in it are opened and closed like brackets: their length is put in
// front of them when it is known.
type writer struct {
	b     []byte
	depth int
	at    [20]int // where the lengths of what is open stand
}

// open begins a message in the field of a number.
func (w *writer) open(number protowire.Number) {
	w.b = append(protowire.AppendTag(w.b, number, protowire.BytesType), 0)
	w.at[w.depth] = len(w.b)
	w.depth++
}

// close ends what was opened last. tail is how many bytes of it are not here.
func (w *writer) close(tail int) {
	w.depth--
	from := w.at[w.depth]
	n := uint64(len(w.b) - from + tail)
	if more := protowire.SizeVarint(n) - 1; more > 0 {
		var room [9]byte
		w.b = append(w.b, room[:more]...)
		copy(w.b[from+more:], w.b[from:])
	}
	protowire.AppendVarint(w.b[:from-1], n)
}

// end closes so many brackets.
func (w *writer) end(n int) {
	for range n {
		w.close(0)
	}
}

func (w *writer) text(number protowire.Number, s string) {
	w.b = protowire.AppendString(protowire.AppendTag(w.b, number, protowire.BytesType), s)
}

func (w *writer) flag(number protowire.Number) {
	w.b = append(protowire.AppendTag(w.b, number, protowire.VarintType), 1)
}

// header writes a HeaderValueOption that overwrites.
func (w *writer) header(number protowire.Number, name, value string) {
	w.open(number)
	w.open(1)
	w.text(1, name)
	if value != "" {
		w.text(3, value)
	}
	w.close(0)
	w.b = append(protowire.AppendTag(w.b, 3, protowire.VarintType), overwriteOrAdd)
	w.close(0)
}

const overwriteOrAdd = 2 // HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD

func (w *writer) headers(number protowire.Number, hs []providers.Header) {
	for _, h := range hs {
		w.header(number, h.Name, h.Value)
	}
}

// object opens a member of a Struct that is a Struct, by three brackets: entry, Value, Struct.
func (w *writer) object(name string) {
	w.open(1)
	w.text(1, name)
	w.open(2)
	w.open(5)
}

// member writes a member of a Struct that is a string.
func (w *writer) member(name, value string) {
	w.open(1)
	w.text(1, name)
	w.open(2)
	w.text(3, value)
	w.end(2)
}
