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

// signalboxConfig has a route for each path, with authentication, limits, a ledger, metrics and logs as a normal
// deployment has them. Arguments: address of the clients, of the admin page, folder, hash of the key, address of the provider, who reads usage,
// and who is limited and what is kept.
const signalboxConfig = `
listen: { http: %[1]s, admin: %[2]s, service: "unix:%[3]s/s.sock" }
envoy: { admin: "unix:%[3]s/a.sock", concurrency: 1, usage: %[6]s }
log: { level: info }
%[7]sproviders:
  - { name: one, kind: openai, base_url: "http://%[5]s/v1", key: env:BENCH_PROVIDER_KEY }
  - { name: two, kind: openai, base_url: "http://%[5]s/v1", key: env:BENCH_PROVIDER_KEY }
  - { name: three, kind: openai, base_url: "http://%[5]s/v1", key: env:BENCH_PROVIDER_KEY }
  - { name: other, kind: anthropic, base_url: "http://%[5]s", key: env:BENCH_PROVIDER_KEY }
routes:
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
