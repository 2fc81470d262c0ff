package envoy_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	priorityv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/priority_group/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/signalbox-ai/signalbox/envoy"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// order is a request's body: what the service shall do with it.
type order struct {
	Plan    []string `json:"plan"`
	Watch   string   `json:"watch"` // as x-signalbox-watch
	Usage   string   `json:"usage"` // as x-signalbox-usage
	Dialect string   `json:"dialect"`
	Idle    string   `json:"idle"`
	Own     bool     `json:"own"`    // answer in the plan stage
	Pad     string   `json:"pad"`    // anything
	Target  string   `json:"target"` // shown to the client
	Total   string   `json:"total"`  // ms
	Try     string   `json:"try"`    // ms to the head of each attempt's answer
}

// service is a small ext_proc and log service.
type service struct {
	extprocv3.UnimplementedExternalProcessorServer
	alsv3.UnimplementedAccessLogServiceServer

	mu       sync.Mutex
	attempts []string      // "stage n cluster ticket"
	hold     chan struct{} // while open, heads of answers are held
	every    bool          // chunks of answers are looked at one by one, slowly
	plans    []map[string]string
	entries  []entry
}

func newService() *service { return &service{} }

func (s *service) take() (attempts []string, entries []entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	attempts, entries = s.attempts, s.entries
	s.attempts, s.entries = nil, nil
	return attempts, entries
}

func (s *service) StreamAccessLogs(st alsv3.AccessLogService_StreamAccessLogsServer) error {
	name := ""
	for {
		m, err := st.Recv()
		if err != nil {
			return nil
		}
		if id := m.GetIdentifier(); id != nil {
			name = id.GetLogName()
		}
		s.mu.Lock()
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			s.entries = append(s.entries, entry{name, e})
		}
		s.mu.Unlock()
	}
}

func (s *service) Process(st extprocv3.ExternalProcessor_ProcessServer) error {
	md, _ := metadata.FromIncomingContext(st.Context())
	if stage := strings.Join(md.Get("x-stage"), ","); stage != "plan" {
		return s.attempt(st, stage)
	}
	for {
		m, err := st.Recv()
		if err != nil {
			return nil
		}
		switch q := m.Request.(type) {
		case *extprocv3.ProcessingRequest_RequestHeaders:
			got := map[string]string{}
			for _, h := range q.RequestHeaders.GetHeaders().GetHeaders() {
				got[h.GetKey()] = string(h.GetRawValue())
			}
			s.mu.Lock()
			s.plans = append(s.plans, got)
			s.mu.Unlock()
			if err := st.Send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{}}}); err != nil {
				return err
			}
		case *extprocv3.ProcessingRequest_RequestBody:
			return st.Send(planned(q.RequestBody.GetBody()))
		}
	}
}

func planned(body []byte) *extprocv3.ProcessingResponse {
	var o order
	if err := jsonx.Decode(body, &o); err != nil {
		return own(400, `{"own":"bad order"}`)
	}
	if o.Own {
		return own(503, `{"own":"from the plan"}`)
	}
	groups := &priorityv3.PriorityGroupsOverride{}
	for _, c := range o.Plan {
		groups.PriorityGroups = append(groups.PriorityGroups, &priorityv3.PriorityGroup{Name: c, Clusters: []*priorityv3.ClusterWeight{{ClusterName: c, Weight: wrapperspb.UInt32(1)}}})
	}
	steps, err := anypb.New(groups)
	if err != nil {
		return own(500, err.Error())
	}
	sent := `{"from":"plan"}`
	if o.Pad != "" {
		sent = string(body)
	}
	dm, err := structpb.NewStruct(map[string]any{
		envoy.NamespaceTicket:  map[string]any{"ticket": "t-1", "dialect": o.Dialect},
		envoy.NamespaceAttempt: prepared(len(sent), o.Target),
	})
	if err != nil {
		return own(500, err.Error())
	}
	set := []*corev3.HeaderValueOption{
		header("x-request-id", "exchange-1"), header("x-signalbox-watch", o.Watch), header(":path", "/from-plan"),
		header("authorization", "Bearer key-1"), header("x-envoy-max-retries", strconv.Itoa(len(o.Plan)-1)),
		header("content-length", strconv.Itoa(len(sent))), header("x-signalbox-target", "secret"),
	}
	for name, value := range map[string]string{
		"x-signalbox-idle": o.Idle, "x-signalbox-usage": o.Usage, "x-envoy-upstream-rq-timeout-ms": o.Total, "x-envoy-upstream-rq-per-try-timeout-ms": o.Try,
	} {
		if value != "" {
			set = append(set, header(name, value))
		}
	}
	return &extprocv3.ProcessingResponse{
		DynamicMetadata:      dm,
		TypedDynamicMetadata: map[string]*anypb.Any{envoy.NamespacePlan: steps},
		Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{
			ClearRouteCache: true,
			HeaderMutation:  &extprocv3.HeaderMutation{SetHeaders: set},
			BodyMutation:    &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: []byte(sent)}},
		}}},
	}
}

// prepared is what the service says of an attempt; an empty target is not said.
func prepared(length int, target string) map[string]any {
	m := map[string]any{"len": strconv.Itoa(length)}
	if target != "" {
		m["target"], m["attempts"] = target, "1"
	}
	return m
}

func (s *service) attempt(st extprocv3.ExternalProcessor_ProcessServer, stage string) error {
	var n int
	var cluster string
	for {
		m, err := st.Recv()
		if err != nil {
			return nil
		}
		var out *extprocv3.ProcessingResponse
		done := false
		switch q := m.Request.(type) {
		case *extprocv3.ProcessingRequest_RequestHeaders:
			at := m.GetAttributes()["envoy.filters.http.ext_proc"].GetFields()
			n, cluster = int(at["upstream.request_attempt_count"].GetNumberValue()), at["xds.cluster_name"].GetStringValue()
			ticket := m.GetMetadataContext().GetFilterMetadata()[envoy.NamespaceTicket].GetFields()["ticket"].GetStringValue()
			s.mu.Lock()
			s.attempts = append(s.attempts, fmt.Sprintf("%s %d %s %s", stage, n, cluster, ticket))
			s.mu.Unlock()
			if cluster == envoy.ClusterService {
				return st.Send(own(502, `{"own":"verdict"}`))
			}
			out = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{}}}
		case *extprocv3.ProcessingRequest_RequestBody:
			out = rewritten(q.RequestBody.GetBody(), n, cluster)
		case *extprocv3.ProcessingRequest_ResponseHeaders:
			s.mu.Lock()
			hold := s.hold
			done = !s.every
			s.mu.Unlock()
			if hold != nil {
				select {
				case <-hold:
				case <-st.Context().Done():
					return nil
				}
			}
			out = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{}}}
		case *extprocv3.ProcessingRequest_ResponseBody:
			time.Sleep(time.Millisecond) // slower than the provider writes
			out = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{}}}
		default:
			return fmt.Errorf("unexpected %T", q)
		}
		if err := st.Send(out); err != nil || done {
			return err
		}
	}
}

func rewritten(body []byte, n int, cluster string) *extprocv3.ProcessingResponse {
	sent := fmt.Appendf(nil, `{"attempt":%d,"cluster":%q,"stored":%d}`, n, cluster, len(body))
	if bytes.Contains(body, []byte(`"pad"`)) {
		sent = append(sent, body...)
	}
	dm, _ := structpb.NewStruct(map[string]any{envoy.NamespaceAttempt: map[string]any{"len": strconv.Itoa(len(sent)), "target": cluster + "/m", "attempts": strconv.Itoa(n)}})
	return &extprocv3.ProcessingResponse{
		DynamicMetadata: dm,
		Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{
			HeaderMutation: &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{
				header(":path", "/attempt-"+strconv.Itoa(n)), header("authorization", "Bearer key-"+strconv.Itoa(n)),
				header("content-length", strconv.Itoa(len(sent))), // one that is missing or wrong ends the request
			}},
			BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: sent}},
		}}},
	}
}

func header(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, RawValue: []byte(value)}, AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}
}

// own is an answer of the service's.
func own(status int, body string) *extprocv3.ProcessingResponse {
	dm, _ := structpb.NewStruct(map[string]any{envoy.NamespaceOwn: map[string]any{"body": "1"}})
	return &extprocv3.ProcessingResponse{
		DynamicMetadata: dm,
		Response: &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extprocv3.ImmediateResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(status)},
			Headers: &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{header("content-type", "application/json"), header("retry-after", "7")}},
			Body:    []byte(body),
		}},
	}
}
