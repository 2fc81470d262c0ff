package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// rivalEnvoy is an Envoy as Envoy AI Gateway configures it: its processor sees the request's head and body and the answer's, chooses
// the route by a header, and once more each attempt, where it sets the credential. It follows the configuration that the
// project tests its own data plane with (tests/data-plane/envoy.yaml), without what that is there for the tests: its access logs, and
// an ejection of hosts at the first failure. Arguments: its port, the processor's socket, the backends.
const rivalEnvoy = `
static_resources:
  listeners:
    - name: clients
      address: { socket_address: { address: 127.0.0.1, port_value: %[1]s } }
      per_connection_buffer_limit_bytes: 52428800
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: clients
                codec_type: AUTO
                route_config:
                  name: all
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      retry_policy:
                        retry_on: "5xx,gateway-error,reset,connect-failure,envoy-ratelimited,retriable-4xx,refused-stream"
                        num_retries: 5
                        per_try_timeout: 30s
                        retry_priority:
                          name: envoy.retry_priorities.previous_priorities
                          typed_config: { "@type": type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig, update_frequency: 1 }
                        retry_back_off: { base_interval: 0.1s, max_interval: 1s }
                      routes:
                        - match: { prefix: "/", headers: [ { name: x-ai-eg-model, string_match: { exact: direct } } ] }
                          route: { cluster: backends, timeout: 0s }
                          metadata: { filter_metadata: { aigateway.envoy.io: { route_name: bench/direct } } }
                        - { match: { prefix: "/" }, direct_response: { status: 404, body: { inline_string: "no matching route" } } }
                http_filters:
                  - name: envoy.filters.http.ext_proc
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
                      allow_mode_override: true
                      processing_mode: { request_header_mode: SEND, request_body_mode: BUFFERED, response_header_mode: SEND, response_body_mode: BUFFERED }
                      grpc_service: { envoy_grpc: { cluster_name: processor }, timeout: 30s }
                      message_timeout: 60s
                      metadata_options: { receiving_namespaces: { untyped: [ io.envoy.ai_gateway ] } }
                  - name: envoy.filters.http.router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, suppress_envoy_headers: true }
  clusters:
    - name: processor
      type: STATIC
      connect_timeout: 5s
      per_connection_buffer_limit_bytes: 52428800
      circuit_breakers: { thresholds: [ { max_connections: 20000, max_pending_requests: 20000, max_requests: 20000 } ] }
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: { connection_keepalive: { interval: 30s, timeout: 5s } } }
      load_assignment:
        cluster_name: processor
        endpoints: [ { lb_endpoints: [ { endpoint: { address: { pipe: { path: "%[2]s" } } } } ] } ]
    - name: backends
      type: STATIC
      connect_timeout: 2s
      per_connection_buffer_limit_bytes: 52428800
      circuit_breakers: { thresholds: [ { max_connections: 20000, max_pending_requests: 20000, max_requests: 20000 } ] }
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http_protocol_options: {} }
          http_filters:
            - name: upstream_extproc
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
                allow_mode_override: true
                request_attributes: [ "xds.upstream_host_metadata.filter_metadata['aigateway.envoy.io']['per_route_rule_backend_name']" ]
                processing_mode: { request_header_mode: SEND, request_body_mode: NONE, response_header_mode: SKIP, response_body_mode: NONE }
                grpc_service: { envoy_grpc: { cluster_name: processor }, timeout: 30s }
                message_timeout: 60s
                metadata_options: { receiving_namespaces: { untyped: [ io.envoy.ai_gateway ] } }
            - name: envoy.filters.http.header_mutation
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
                mutations: { request_mutations: [ { append: { append_action: ADD_IF_ABSENT, header: { key: content-length, value: "%%DYNAMIC_METADATA(io.envoy.ai_gateway:content_length)%%" } } } ] }
            - name: envoy.filters.http.upstream_codec
              typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec }
      load_assignment: { cluster_name: backends, endpoints: [ %[3]s ] }
`

// rivalBackend is a backend of the route, in the order of its priority. Arguments: the provider's port, its number.
const rivalBackend = `{ priority: %[2]d, lb_endpoints: [ { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: %[1]s } } }, metadata: { filter_metadata: { aigateway.envoy.io: { per_route_rule_backend_name: backend-%[2]d } } } } ] }`

// rivalConfig is the processor's: three backends with a key, and the tokens counted for limits.
const rivalConfig = `
version: dev
backends:
  - { name: backend-0, schema: { name: OpenAI, prefix: /v1 }, auth: { apiKey: { key: sk-bench } } }
  - { name: backend-1, schema: { name: OpenAI, prefix: /v1 }, auth: { apiKey: { key: sk-bench } } }
  - { name: backend-2, schema: { name: OpenAI, prefix: /v1 }, auth: { apiKey: { key: sk-bench } } }
llmRequestCosts:
  - { metadataKey: llm_input_token, routeName: bench/direct, type: InputToken }
  - { metadataKey: llm_output_token, routeName: bench/direct, type: OutputToken }
  - { metadataKey: llm_total_token, routeName: bench/direct, type: TotalToken }
`

// rival starts Envoy AI Gateway's processor and an Envoy that is configured as its controller would.
func (l *lab) rival(ctx context.Context, r *row) error {
	config, socket := filepath.Join(l.dir, "rival-config.yaml"), filepath.Join(l.dir, "r.sock")
	if err := os.WriteFile(config, []byte(rivalConfig), 0o600); err != nil {
		return err
	}
	admin, err := freePort(ctx)
	if err != nil {
		return err
	}
	if r.service, err = l.run(ctx, "rival-service", l.rivalBinary, "-configPath", config, "-extProcAddr", "unix://"+socket, "-adminPort", admin); err != nil {
		return err
	}
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	r.addr = "127.0.0.1:" + port
	_, upstream, _ := net.SplitHostPort(l.upstream.addr())
	var backends []string
	for i := range 3 {
		backends = append(backends, fmt.Sprintf(rivalBackend, upstream, i))
	}
	file := filepath.Join(l.dir, "rival.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, rivalEnvoy, port, socket, strings.Join(backends, ", ")), 0o600); err != nil {
		return err
	}
	if r.envoy, err = l.run(ctx, "rival-envoy", l.envoy, envoyArgs(file)...); err != nil {
		return err
	}
	return l.await(ctx, r, r.envoy, r.service)
}
