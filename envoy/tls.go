package envoy

import (
	"net/netip"
	"path/filepath"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
)

// Names of the listener's secrets.
const (
	secretCert     = "signalbox-cert"
	secretClientCA = "signalbox-client-ca"
)

func params() *tlsv3.TlsParameters {
	return &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2}
}

func transport(m proto.Message) *corev3.TransportSocket {
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(m)},
	}
}

// serverTLS is the clients' TLS. Over xDS the files are named by secrets, which alone makes Envoy watch
// them; the static form reads them once.
func serverTLS(s *Spec, sds bool) *corev3.TransportSocket {
	c := &tlsv3.CommonTlsContext{TlsParams: params(), AlpnProtocols: []string{"h2", "http/1.1"}}
	if sds {
		c.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{{Name: secretCert, SdsConfig: ads()}}
	} else {
		c.TlsCertificates = []*tlsv3.TlsCertificate{certificate(s, false)}
	}
	d := &tlsv3.DownstreamTlsContext{CommonTlsContext: c}
	if s.TLS.ClientCA != "" {
		d.RequireClientCertificate = yes()
		if sds {
			c.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
				ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: secretClientCA, SdsConfig: ads()},
			}
		} else {
			c.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: clientCA(s, false)}
		}
	}
	return transport(d)
}

func certificate(s *Spec, watch bool) *tlsv3.TlsCertificate {
	c := &tlsv3.TlsCertificate{CertificateChain: file(s.TLS.Cert), PrivateKey: file(s.TLS.Key)}
	// Where the two files lie in different folders, Envoy watches both by itself.
	if watch && filepath.Dir(s.TLS.Cert) == filepath.Dir(s.TLS.Key) {
		c.WatchedDirectory = &corev3.WatchedDirectory{Path: filepath.Dir(s.TLS.Cert)}
	}
	return c
}

func clientCA(s *Spec, watch bool) *tlsv3.CertificateValidationContext {
	c := &tlsv3.CertificateValidationContext{TrustedCa: file(s.TLS.ClientCA)}
	if watch {
		c.WatchedDirectory = &corev3.WatchedDirectory{Path: filepath.Dir(s.TLS.ClientCA)}
	}
	return c
}

// secrets are what the listener's TLS is made of.
func secrets(s *Spec) []*tlsv3.Secret {
	if !s.TLS.On() {
		return nil
	}
	list := []*tlsv3.Secret{{Name: secretCert, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: certificate(s, true)}}}
	if s.TLS.ClientCA != "" {
		list = append(list, &tlsv3.Secret{Name: secretClientCA, Type: &tlsv3.Secret_ValidationContext{ValidationContext: clientCA(s, true)}})
	}
	return list
}

// clientTLS verifies a provider. The name comes from the host: auto_sni would keep the first attempt's. An
// address is no server name, and stands in a certificate in a field of its own.
func clientTLS(u *Upstream) *corev3.TransportSocket {
	v := &tlsv3.CertificateValidationContext{TrustedCa: file(u.CAFile)}
	c := &tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsParams:             params(),
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: v},
	}}
	if ip, err := netip.ParseAddr(u.Host); err == nil {
		v.MatchTypedSubjectAltNames = []*tlsv3.SubjectAltNameMatcher{{SanType: tlsv3.SubjectAltNameMatcher_IP_ADDRESS, Matcher: exactly(ip.String())}}
	} else {
		c.AutoHostSni, c.AutoSniSanValidation = true, true
	}
	return transport(c)
}

// serviceTLS verifies the service by its name, and shows Envoy's own certificate where there is one.
func serviceTLS(s *Spec) *corev3.TransportSocket {
	c := &tlsv3.CommonTlsContext{
		TlsParams:     params(),
		AlpnProtocols: []string{"h2"},
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: file(s.Service.CA),
			MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
				SanType: tlsv3.SubjectAltNameMatcher_DNS, Matcher: exactly(s.Service.Name),
			}},
		}},
	}
	if s.Service.Cert != "" {
		c.TlsCertificates = []*tlsv3.TlsCertificate{{CertificateChain: file(s.Service.Cert), PrivateKey: file(s.Service.Key)}}
	}
	return transport(&tlsv3.UpstreamTlsContext{Sni: s.Service.Name, CommonTlsContext: c})
}
