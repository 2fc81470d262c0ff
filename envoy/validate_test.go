package envoy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/envoy"
)

func TestEnvoyAcceptsTheStaticForm(t *testing.T) {
	t.Parallel()
	path := findEnvoy(t)
	a := newAuthority(t)
	a.issue("server", "server", "127.0.0.1")
	ca := a.path("ca.pem")
	base := envoy.Spec{Listen: "127.0.0.1:8080", Service: envoy.Service{Address: "unix:/run/s.sock"}, CAFile: ca}
	for name, change := range map[string]func(*envoy.Spec){
		"nothing but what must be": func(*envoy.Spec) {},
		"TLS with client certificates": func(s *envoy.Spec) {
			s.TLS = envoy.TLS{Cert: a.path("server.pem"), Key: a.path("server.key"), ClientCA: ca}
		},
		"service over TCP": func(s *envoy.Spec) { s.Service = envoy.Service{Address: "127.0.0.1:9000"} },
		"service by name with mutual TLS": func(s *envoy.Spec) {
			s.Service = envoy.Service{Address: "service.example:9000", Cert: a.path("server.pem"), Key: a.path("server.key"), CA: ca, Name: "service.example"}
		},
		"IPv6, admin on loopback, answer headers": func(s *envoy.Spec) {
			s.Listen, s.Admin, s.AnswerHeaders, s.Identity.TrustedHops = "[::1]:8080", "127.0.0.1:9901", true, 2
		},
		"a socket for traffic of the service's own": func(s *envoy.Spec) { s.Service.Own = "unix:/run/own.sock" },
		"usage by Envoy's own filter":               func(s *envoy.Spec) { s.Usage = envoy.UsageEnvoy },
		"many providers and idle timers": func(s *envoy.Spec) {
			for i := range 100 {
				s.Providers = append(s.Providers, envoy.Upstream{Name: fmt.Sprintf("p-%d", i), Host: fmt.Sprintf("p%d.example", i), Port: 443, TLS: i%2 == 0})
				s.Deadlines.Idle = append(s.Deadlines.Idle, time.Duration(i+1)*time.Second)
			}
			s.Providers = append(s.Providers, envoy.Upstream{Name: "v6", Host: "::1", Port: 443, TLS: true}, envoy.Upstream{Name: "v4", Host: "10.0.0.1", Port: 80})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := base
			change(&s)
			for form, render := range map[string]func(envoy.Spec) ([]byte, error){"static": envoy.Static, "bootstrap": envoy.Bootstrap} {
				b, err := render(s)
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(t.TempDir(), form+".yaml")
				if err := os.WriteFile(file, b, 0o600); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.Command(path, "--mode", "validate", "-l", "error", "-c", file).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", form, err, out)
				}
			}
		})
	}
}
