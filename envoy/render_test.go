package envoy

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files")

// full is a Spec with everything in it.
func full() Spec {
	return Spec{
		Node: "signalbox", Listen: "0.0.0.0:8080", Admin: "unix:/run/signalbox/admin.sock", CAFile: "/etc/ssl/certs/ca-certificates.crt", ClosedPort: 9,
		TLS:     TLS{Cert: "/etc/signalbox/tls.crt", Key: "/etc/signalbox/tls.key", ClientCA: "/etc/signalbox/clients.pem"},
		Service: Service{Address: "signalbox.internal:9000", Cert: "/etc/signalbox/envoy.crt", Key: "/etc/signalbox/envoy.key", CA: "/etc/signalbox/service.pem", Name: "signalbox.internal"},
		Deadlines: Deadlines{
			Attempt: 150 * time.Second, Idle: []time.Duration{30 * time.Second, 1500 * time.Millisecond, 30 * time.Second},
		},
		Providers: []Upstream{
			{Name: "openai", Host: "api.openai.com", Port: 443, TLS: true},
			{Name: "local", Host: "127.0.0.1", Port: 8000},
			{Name: "lab", Host: "10.0.0.7", Port: 443, TLS: true, CAFile: "/etc/lab/ca.pem", ConnectTimeout: 2 * time.Second},
		},
		Identity: Identity{TrustedHops: 1}, AnswerHeaders: true,
	}
}

// small is a Spec with nothing but what must be there.
func small() Spec {
	return Spec{
		Listen: "127.0.0.1:8080", CAFile: "/etc/ssl/certs/ca-certificates.crt",
		Service:   Service{Address: "unix:/run/signalbox/service.sock"},
		Providers: []Upstream{{Name: "anthropic", Host: "api.anthropic.com", Port: 443, TLS: true}},
	}
}

// proven is a Spec with every proof of identity.
func proven() Spec {
	s := small()
	s.Service.Own = "unix:/run/signalbox/own.sock"
	s.TLS = TLS{Cert: "/etc/signalbox/tls.crt", Key: "/etc/signalbox/tls.key", ClientCA: "/etc/signalbox/clients.pem"}
	s.Identity = Identity{
		Issuers: []Issuer{
			{Name: "corp", Issuer: "https://login.acme.example", Audiences: []string{"signalbox"}, URL: &url.URL{Scheme: "https", Host: "login.acme.example", Path: "/keys.json"}},
			{Name: "partner", Issuer: "https://partner.example", Audiences: []string{"signalbox", "llm"}, Keys: `{"keys":[]}`},
		},
		Certificates: true, Claimed: []string{"x-jwt-payload"},
	}
	return s
}

func TestGolden(t *testing.T) {
	for name, render := range map[string]func() ([]byte, error){
		"bootstrap-full":  func() ([]byte, error) { return Bootstrap(full()) },
		"static-full":     func() ([]byte, error) { return Static(full()) },
		"bootstrap-small": func() ([]byte, error) { return Bootstrap(small()) },
		"static-small":    func() ([]byte, error) { return Static(small()) },
		"static-proven":   func() ([]byte, error) { return Static(proven()) },
	} {
		t.Run(name, func(t *testing.T) {
			got, err := render()
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(got), string(want)); d != "" {
				t.Errorf("-got +want (go test -update writes it anew):\n%s", d)
			}
		})
	}
}

// valid validates a message and everything packed in it.
func valid(m proto.Message) error {
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			return fmt.Errorf("%s: %w", m.ProtoReflect().Descriptor().FullName(), err)
		}
	}
	if a, ok := m.(*anypb.Any); ok {
		inner, err := a.UnmarshalNew()
		if err != nil {
			return err
		}
		return valid(inner)
	}
	var err error
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				err = valid(v.Message().Interface())
				return err == nil
			})
		case f.IsList() && f.Message() != nil:
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = valid(v.List().Get(i).Message().Interface())
			}
		case !f.IsMap() && f.Message() != nil:
			err = valid(v.Message().Interface())
		}
		return err == nil
	})
	return err
}

func TestEverySpecMakesValidProtos(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := full()
		s.Limits = Limits{
			Body: rapid.Int64Range(1, maxBody).Draw(t, "body"), HeaderKiB: rapid.IntRange(1, 8192).Draw(t, "header"),
			Headers: rapid.IntRange(1, 1000).Draw(t, "headers"), Streams: rapid.IntRange(1, 1000).Draw(t, "streams"),
		}
		if rapid.Bool().Draw(t, "plain") {
			s.TLS, s.Service = TLS{}, Service{Address: "unix:/s.sock"}
		}
		s.AnswerHeaders, s.Identity.TrustedHops = rapid.Bool().Draw(t, "answer"), rapid.IntRange(0, 5).Draw(t, "hops")
		s.Deadlines.Idle = rapid.SliceOf(rapid.Map(rapid.IntRange(1, 1<<30), func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond })).Draw(t, "idle")
		s.Providers = nil
		for i, host := range rapid.SliceOfN(rapid.SampledFrom([]string{"a.example", "127.0.0.1", "::1", "b"}), 0, 5).Draw(t, "hosts") {
			s.Providers = append(s.Providers, Upstream{Name: fmt.Sprintf("p%d", i), Host: host, Port: 1 + i, TLS: rapid.Bool().Draw(t, "tls")})
		}
		f, err := s.filled()
		if err != nil {
			t.Fatal(err)
		}
		all := []proto.Message{bootstrap(&f), static(&f), listener(&f, nil, true), routes(&f)}
		for _, sec := range secrets(&f) {
			all = append(all, sec)
		}
		for _, m := range all {
			if err := valid(m); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestBadSpecsAreRefusedByName(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Spec)
		want   string
	}{
		{"a listener without a port", func(s *Spec) { s.Listen = "127.0.0.1" }, `Listen: "127.0.0.1" is not an IP address and a port`},
		{"a listener by name", func(s *Spec) { s.Listen = "localhost:80" }, `Listen: "localhost:80" is not an IP address and a port`},
		{"a relative socket", func(s *Spec) { s.Service.Address = "unix:s.sock" }, `Service.Address: the path of a Unix socket must be absolute, not "s.sock"`},
		{"a socket whose path is too long", func(s *Spec) { s.Admin = "unix:/" + strings.Repeat("a", 107) }, `Admin: the path of a Unix socket has at most 107 bytes`},
		{"an admin page beyond loopback", func(s *Spec) { s.Admin = "0.0.0.0:9901" }, `Admin: "0.0.0.0:9901" is neither a Unix socket nor an address on loopback`},
		{"a certificate without a key", func(s *Spec) { s.TLS.Cert = "c" }, "TLS: certificate and key go together"},
		{"client certificates without TLS", func(s *Spec) { s.TLS.ClientCA = "c" }, "TLS.ClientCA: needs a certificate and a key"},
		{"a service without a name to verify", func(s *Spec) { s.Service.CA = "c" }, "Service: Cert, Key, CA and Name go together"},
		{"a negative limit", func(s *Spec) { s.Limits.Body = -1 }, "Limits.Body: must be positive, not -1"},
		{"a head that Envoy cannot take", func(s *Spec) { s.Limits.HeaderKiB = 9000 }, "Limits.HeaderKiB: from 1 to 8192, not 9000"},
		{"a plan stage of an hour", func(s *Spec) { s.Deadlines.Plan = time.Hour }, "Deadlines.Plan: up to 1m0s, not 1h0m0s"},
		{"a wait of two hours", func(s *Spec) { s.Deadlines.Wait = 2 * time.Hour }, "Deadlines.Wait: up to 1h0m0s, not 2h0m0s"},
		{"an idle timer of microseconds", func(s *Spec) { s.Deadlines.Idle = []time.Duration{1500 * time.Microsecond} }, "Deadlines.Idle: must be whole milliseconds, not 1.5ms"},
		{"a provider twice", func(s *Spec) { s.Providers = append(s.Providers, s.Providers[0]) }, `provider "anthropic": stands twice`},
		{"a provider with the service's name", func(s *Spec) { s.Providers[0].Name = "signalbox" }, `provider "signalbox": names that are "signalbox"`},
		{"a provider with an inner cluster's name", func(s *Spec) { s.Providers[0].Name = "a.dns" }, `provider "a.dns": names that are`},
		{"a provider whose host is a URL", func(s *Spec) { s.Providers[0].Host = "http://x" }, `provider "anthropic": host "http://x" is neither a name nor an address`},
		{"a provider without a port", func(s *Spec) { s.Providers[0].Port = 0 }, `provider "anthropic": 0 is not a port`},
		{"a string that is not UTF-8", func(s *Spec) { s.TLS = TLS{Cert: "\xff", Key: "k"} }, "Spec: a string in it is not UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := small()
			tt.change(&s)
			for _, render := range []func(Spec) ([]byte, error){Static, Bootstrap} {
				if _, err := render(s); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %s", err, tt.want)
				}
			}
		})
	}
}

func TestLocalRepliesCoverEveryStatusOnce(t *testing.T) {
	m := localReplies().GetMappers()
	if n := 1 + (len(shapes())+1)*len(failures()); len(m) != n {
		t.Fatalf("%d mappers, want %d", len(m), n)
	}
	last := m[len(m)-1].GetFilter().GetStatusCodeFilter().GetComparison()
	if last.GetOp() != accesslogv3.ComparisonFilter_GE || last.GetValue().GetDefaultValue() != 0 {
		t.Errorf("the last mapper does not take everything: %v", last)
	}
	for _, x := range m[1:] {
		body := x.GetBodyFormatOverride().GetJsonFormat().String()
		if strings.Contains(body, "LOCAL_REPLY_BODY") || strings.Contains(body, "RESPONSE_CODE_DETAILS") || strings.Count(body, "%") > 2 {
			t.Errorf("Envoy's own words reach the client: %s", body)
		}
	}
}
