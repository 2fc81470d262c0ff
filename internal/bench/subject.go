package main

// bareConfig is an Envoy that only forwards. Arguments: its port, the provider's.
const bareConfig = `
static_resources:
  listeners:
    - name: clients
      address: { socket_address: { address: 127.0.0.1, port_value: %s } }
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
                      routes: [ { match: { prefix: "/" }, route: { cluster: provider, timeout: 0s } } ]
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
    - name: provider
      type: STATIC
      connect_timeout: 2s
      circuit_breakers: { thresholds: [ { max_connections: 20000, max_pending_requests: 20000, max_requests: 20000 } ] }
      load_assignment:
        cluster_name: provider
        endpoints: [ { lb_endpoints: [ { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: %s } } } } ] } ]
`

// signalboxConfig has authentication, limits, a ledger, metrics and logs as a normal deployment has them. Its heap has room for ten thousand
// streams. Arguments: address of the clients, of the admin page, folder, address of the provider, who reads usage, who is limited and
// what is kept, and the routes.
const signalboxConfig = `
listen: { http: %[1]s, admin: %[2]s, service: "unix:%[3]s/s.sock", control: "unix:%[3]s/c.sock" }
envoy: { admin: "unix:%[3]s/a.sock", concurrency: 1, heap: 8GiB, usage: %[5]s }
log: { level: info }
%[6]sproviders:
  - { name: one, kind: openai, base_url: "http://%[4]s/v1", key: env:BENCH_PROVIDER_KEY }
  - { name: two, kind: openai, base_url: "http://%[4]s/v1", key: env:BENCH_PROVIDER_KEY }
  - { name: three, kind: openai, base_url: "http://%[4]s/v1", key: env:BENCH_PROVIDER_KEY }
  - { name: other, kind: anthropic, base_url: "http://%[4]s", key: env:BENCH_PROVIDER_KEY }
%[7]s`

// routes are one for each path.
const routes = `routes:
  - name: direct
    match: { models: [ "direct*" ] }
    targets: [ one/*, two/*, three/* ]
    failover: { first_token: false }
  - name: watched
    match: { models: [ "watched*" ] }
    targets: [ one/*, two/* ]
    failover: { first_token: true, error_bodies: true }
  - name: worked
    match: { models: [ "worked*" ] }
    targets: [ other/* ]
  - name: strip
    match: { models: [ "strip*" ] }
    targets: [ one/*, two/*, three/* ]
    usage: exact
`

// kept is a client with limits, and a ledger; plain has neither. Arguments: folder, hash of the key.
const (
	kept = `keys: [ { name: bench, hash: "%[2]s", limits: { requests_per_minute: 10000000, tokens_per_minute: 1000000000, parallel: 100000 } } ]
ledger: { store: "sqlite:%[1]s/ledger.db", spool: "%[1]s/spool" }
quota: { journal: "%[1]s/journal" }
`
	plain = `keys: [ { name: bench, hash: "%[2]s" } ] # nothing is kept in %[1]s
`
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
