package envoy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// at walks a document: names, and numbers for elements of lists.
func at(t *testing.T, doc any, path string) any {
	t.Helper()
	for _, step := range strings.Split(path, "/") {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[step]
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(v) {
				return nil
			}
			doc = v[i]
		default:
			return nil
		}
	}
	return doc
}

// TestEachHardeningLineIsThere keeps what protects Envoy and the credentials from being lost.
func TestEachHardeningLineIsThere(t *testing.T) {
	load := func(render func(Spec) ([]byte, error)) any {
		b, err := render(full())
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := yaml.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		return doc
	}
	static, boot := load(Static), load(Bootstrap)
	const (
		listener = "static_resources/listeners/0/"
		hcm      = listener + "filter_chains/0/filters/0/typed_config/"
		server   = listener + "filter_chains/0/transport_socket/typed_config/"
		plan     = hcm + "http_filters/1/typed_config/"
		watch    = hcm + "http_filters/2/typed_config/upstream_http_filters/0/typed_config/extension_config/typed_config/"
		work     = hcm + "http_filters/2/typed_config/upstream_http_filters/1/typed_config/extension_config/typed_config/"
		vhost    = hcm + "route_config/virtual_hosts/0/"
		route    = vhost + "routes/2/route/"
		service  = "static_resources/clusters/0/"
		provider = "static_resources/clusters/7/" // openai.dns
	)
	for path, want := range map[string]string{
		listener + "per_connection_buffer_limit_bytes":                        "1048576",
		hcm + "server_name":                                                   "signalbox",
		hcm + "generate_request_id":                                           "true",
		hcm + "always_set_request_id_in_response":                             "true",
		hcm + "use_remote_address":                                            "true",
		hcm + "xff_num_trusted_hops":                                          "1",
		hcm + "internal_address_config":                                       "map[]",
		hcm + "normalize_path":                                                "true",
		hcm + "merge_slashes":                                                 "true",
		hcm + "path_with_escaped_slashes_action":                              "UNESCAPE_AND_REDIRECT",
		hcm + "max_request_headers_kb":                                        "60",
		hcm + "common_http_protocol_options/max_headers_count":                "100",
		hcm + "common_http_protocol_options/headers_with_underscores_action":  "REJECT_REQUEST",
		hcm + "http2_protocol_options/max_concurrent_streams":                 "100",
		hcm + "http2_protocol_options/initial_stream_window_size":             "65536",
		hcm + "http2_protocol_options/initial_connection_window_size":         "1048576",
		hcm + "request_headers_timeout":                                       "30s",
		hcm + "request_timeout":                                               "30s",
		hcm + "stream_idle_timeout":                                           "0s",
		hcm + "delayed_close_timeout":                                         "0.100s",
		hcm + "upgrade_configs":                                               "<nil>",
		hcm + "preserve_external_request_id":                                  "<nil>",
		server + "require_client_certificate":                                 "true",
		server + "common_tls_context/tls_params/tls_minimum_protocol_version": "TLSv1_2",
		server + "common_tls_context/alpn_protocols":                          "[h2 http/1.1]",
		plan + "failure_mode_allow":                                           "<nil>",
		watch + "failure_mode_allow":                                          "<nil>",
		work + "failure_mode_allow":                                           "<nil>",
		plan + "status_on_error/code":                                         "ServiceUnavailable",
		watch + "status_on_error/code":                                        "ServiceUnavailable",
		work + "status_on_error/code":                                         "ServiceUnavailable",
		plan + "message_timeout":                                              "10s",
		plan + "max_message_timeout":                                          "60s",
		watch + "message_timeout":                                             "150s",
		work + "message_timeout":                                              "150s",
		plan + "mutation_rules":                                               "map[allow_all_routing:true allow_envoy:true]",
		watch + "mutation_rules":                                              "map[allow_all_routing:true]",
		work + "mutation_rules":                                               "map[allow_all_routing:true]",
		plan + "forward_rules/disallowed_headers/patterns/0/exact":            "cookie",
		work + "forward_rules/disallowed_headers/patterns/0/exact":            "cookie",
		plan + "allow_content_length_header":                                  "<nil>",
		work + "allow_content_length_header":                                  "<nil>",
		plan + "processing_mode/request_body_mode":                            "BUFFERED",
		work + "processing_mode/request_body_mode":                            "BUFFERED",
		vhost + "request_body_buffer_limit":                                   "21037056",
		route + "timeout":                                                     "0s",
		route + "idle_timeout":                                                "0s",
		route + "retry_policy/refresh_cluster_on_retry":                       "true",
		route + "retry_policy/num_retries":                                    "8",
		service + "common_lb_config/healthy_panic_threshold":                  "map[]",
		service + "close_connections_on_host_health_failure":                  "true",
		service + "health_checks/0/unhealthy_threshold":                       "2",
		service + "health_checks/0/no_traffic_interval":                       "1s",
		service + "circuit_breakers/thresholds/0/max_requests":                "1000000",
		service + "transport_socket/typed_config/common_tls_context/validation_context/match_typed_subject_alt_names/0/matcher/exact": "signalbox.internal",
		provider + "name": "openai.dns",
		provider + "circuit_breakers/thresholds/0/max_retries":                                                "1000000",
		provider + "transport_socket/typed_config/auto_host_sni":                                              "true",
		provider + "transport_socket/typed_config/auto_sni_san_validation":                                    "true",
		provider + "transport_socket/typed_config/common_tls_context/tls_params/tls_minimum_protocol_version": "TLSv1_2",
		provider + "transport_socket/typed_config/common_tls_context/validation_context/trusted_ca/filename":  "/etc/ssl/certs/ca-certificates.crt",
		"admin/address/pipe/path": "/run/signalbox/admin.sock",
		"admin/address/pipe/mode": "384", // 0600
	} {
		if got := fmt.Sprint(at(t, static, path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	for _, doc := range []any{static, boot} {
		for path, want := range map[string]string{
			"overload_manager/resource_monitors/0/typed_config/max_heap_size_bytes":               "1073741824",
			"overload_manager/resource_monitors/1/typed_config/max_active_downstream_connections": "10000",
			"overload_manager/actions/0/name":                                                     "envoy.overload_actions.shrink_heap",
			"overload_manager/actions/0/triggers/0/threshold/value":                               "0.95",
			"overload_manager/actions/1/name":                                                     "envoy.overload_actions.stop_accepting_requests",
			"overload_manager/actions/1/triggers/0/threshold/value":                               "0.98",
		} {
			if got := fmt.Sprint(at(t, doc, path)); got != want {
				t.Errorf("%s is %s, want %s", path, got, want)
			}
		}
	}
}
