package extproc

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/providers"
)

// Namespaces of the dynamic metadata between us and Envoy. Clients cannot write it.
const (
	NamespacePlan    = "signalbox.plan"
	NamespaceTicket  = "signalbox.ticket"
	NamespaceAttempt = "signalbox.attempt"
	NamespaceOwn     = "signalbox.own" // marks an answer of ours, which Envoy sends as it is
)

// respond builds Envoy's response from a reply.
func respond(r *exchange.Reply) *extprocv3.ProcessingResponse {
	if r.Answer != nil {
		return immediate(r.Answer)
	}
	out := &extprocv3.ProcessingResponse{DynamicMetadata: dynamic(r)}
	c := &extprocv3.CommonResponse{HeaderMutation: mutation(r), ClearRouteCache: r.Plan != nil}
	if r.Replace {
		c.BodyMutation = &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: r.Body}}
		if len(r.Body) == 0 {
			c.BodyMutation.Mutation = &extprocv3.BodyMutation_ClearBody{ClearBody: true}
		}
	}
	switch r.To {
	case exchange.ToRequestHead:
		out.Response = &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{Response: c}}
	case exchange.ToRequestBody:
		out.Response = &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{Response: c}}
	case exchange.ToAnswerHead:
		out.Response = &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{Response: c}}
	case exchange.ToAnswerChunk:
		out.Response = &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{Response: c}}
	}
	return out
}

func mutation(r *exchange.Reply) *extprocv3.HeaderMutation {
	if len(r.Set) == 0 && len(r.Remove) == 0 && r.Status == 0 {
		return nil
	}
	m := &extprocv3.HeaderMutation{RemoveHeaders: r.Remove, SetHeaders: headers(r.Set)}
	if r.Status != 0 {
		m.SetHeaders = append(m.SetHeaders, header(":status", itoa(r.Status)))
	}
	return m
}

func headers(hs []providers.Header) []*corev3.HeaderValueOption {
	out := make([]*corev3.HeaderValueOption, 0, len(hs)+1)
	for _, h := range hs {
		out = append(out, header(h.Name, h.Value))
	}
	return out
}

func header(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, RawValue: []byte(value)},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// dynamic makes the metadata that carries the plan, the ticket and what the attempt's last filter needs.
func dynamic(r *exchange.Reply) *structpb.Struct {
	if r.Plan == nil && r.Attempt == nil {
		return nil
	}
	m := map[string]*structpb.Value{}
	if p := r.Plan; p != nil {
		groups := make([]*structpb.Value, len(p.Clusters))
		for i, c := range p.Clusters {
			cluster := object(map[string]*structpb.Value{"cluster_name": structpb.NewStringValue(c), "weight": structpb.NewNumberValue(1)})
			groups[i] = object(map[string]*structpb.Value{"name": structpb.NewStringValue(c), "clusters": list(cluster)})
		}
		m[NamespacePlan] = object(map[string]*structpb.Value{"priority_groups": list(groups...)})
		m[NamespaceTicket] = object(map[string]*structpb.Value{
			"ticket":  structpb.NewStringValue(p.Ticket),
			"dialect": structpb.NewStringValue(string(p.Dialect)),
		})
	}
	if a := r.Attempt; a != nil {
		f := map[string]*structpb.Value{"len": structpb.NewStringValue(itoa(a.Length))}
		if a.Target != "" {
			f["target"] = structpb.NewStringValue(a.Target)
			f["attempts"] = structpb.NewStringValue(itoa(a.Number))
		}
		m[NamespaceAttempt] = object(f)
	}
	return &structpb.Struct{Fields: m}
}

func object(f map[string]*structpb.Value) *structpb.Value {
	return structpb.NewStructValue(&structpb.Struct{Fields: f})
}

func list(v ...*structpb.Value) *structpb.Value {
	return structpb.NewListValue(&structpb.ListValue{Values: v})
}

// immediate builds an answer of our own.
func immediate(a *exchange.Answer) *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{
		DynamicMetadata: &structpb.Struct{Fields: map[string]*structpb.Value{
			NamespaceOwn: object(map[string]*structpb.Value{"body": structpb.NewStringValue("1")}),
		}},
		Response: &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extprocv3.ImmediateResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(a.Status)},
			Headers: &extprocv3.HeaderMutation{SetHeaders: headers(a.Header)},
			Body:    a.Body,
			Details: "signalbox",
		}},
	}
}
