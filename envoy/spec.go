package envoy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Spec is everything that Envoy has to know. Addresses are "host:port", with a literal IP address where
// Envoy listens, or "unix:" and an absolute path. Zero values of Limits, Deadlines and Retry mean the
// defaults that stand beside them.
type Spec struct {
	Node          string // the id that Envoy shows to the xDS server; default "signalbox"
	Listen        string // of clients: host:port
	TLS           TLS    // on Listen
	Service       Service
	Admin         string // of Envoy's admin page: a Unix socket, or host:port on loopback; "": none
	ClosedPort    int    // of 127.0.0.1, where nothing listens; default 9
	CAFile        string // authorities of providers that name none; default: the system's bundle
	Limits        Limits
	Deadlines     Deadlines
	Retry         Retry
	Providers     []Upstream
	Usage         string // who reads token usage where the service does not see the answer: a Usage constant
	Identity      Identity
	Limited       bool // clients have limits, and answers say how they stand
	AnswerHeaders bool // x-signalbox-target, x-signalbox-attempts and x-signalbox-tokens on answers whose target the service shows
}

// Values of Spec.Usage.
const (
	UsageTail  = "tail"  // streams, and what Envoy cannot read: the service, from what Envoy keeps; the rest: Envoy
	UsageEnvoy = "envoy" // Envoy's own filter, and nothing else
)

// TLS names the PEM files of a listener's TLS. Envoy reads them, and reads them again when a file is moved
// into one of their folders. ClientCA makes client certificates mandatory.
type TLS struct {
	Cert, Key, ClientCA string
}

// On reports whether there is TLS.
func (t TLS) On() bool { return t.Cert != "" }

func (t TLS) check() error {
	var faults []error
	if (t.Cert == "") != (t.Key == "") {
		faults = append(faults, errors.New("TLS: certificate and key go together"))
	}
	if t.ClientCA != "" && !t.On() {
		faults = append(faults, errors.New("TLS.ClientCA: needs a certificate and a key"))
	}
	return errors.Join(faults...)
}

// Service is where Envoy finds us. The TLS files count for host:port only: Cert and Key are Envoy's own,
// CA verifies ours, whose certificate must bear Name.
type Service struct {
	Address             string
	Cert, Key, CA, Name string
	Own                 string // where Envoy listens for what the service sends by itself: "unix:" and an absolute path; "": nowhere
	Room                bool   // it goes by what providers' rate limits leave: of attempts that go well a share is logged, too
}

// Limits protect Envoy and the service.
type Limits struct {
	Body        int64 // bytes of a request's body; default 20 MiB
	HeaderKiB   int   // of a request's head; default 60
	Headers     int   // fields of a request's head; default 100
	Connections int   // of clients; default 10,000
	Streams     int   // concurrent requests of one HTTP/2 connection; default 100
	Heap        int64 // bytes of Envoy's heap; default 1 GiB
}

// Deadlines are the times that Envoy keeps.
type Deadlines struct {
	Request time.Duration   // until a request has arrived whole and is planned; default 30 s
	Plan    time.Duration   // of the plan stage; default 10 s
	Wait    time.Duration   // of a plan stage that asks for more time, as where one request waits for another; up to 1 h, default 60 s
	Attempt time.Duration   // for one message of an attempt; longer than any answer head is held; default 10 min
	Idle    []time.Duration // one for each value that the plan may put into x-signalbox-idle, in whole ms
	Linger  time.Duration   // how long clusters stay that Set no longer has; 0: until Retire
}

// Retry says when Envoy tries the next step of a plan by itself.
type Retry struct {
	Max      uint32   // upper bound; the plan sets each request's own number; default 8
	Statuses []uint32 // beside 5xx; default 401, 402, 403, 408, 409, 425, 429
}

// Upstream is a provider's host.
type Upstream struct {
	Name           string
	Host           string
	Port           int
	TLS            bool
	Sessions       bool          // it takes WebSockets, which need a cluster of their own
	CAFile         string        // authorities, in place of Spec.CAFile
	ConnectTimeout time.Duration // default 5 s
}

const (
	defaultBody      = 20 << 20
	defaultAttempt   = 10 * time.Minute
	maxPlan          = 60 * time.Second
	maxWait          = time.Hour // the most that Envoy takes
	maxBody          = 1 << 30
	unixScheme       = "unix:"
	maxSocketPathLen = 107
)

// bundles are where systems keep their authorities.
func bundles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
	}
}

// filled returns s with its defaults, or every fault it has.
func (s Spec) filled() (Spec, error) {
	def(&s.Node, "signalbox")
	def(&s.Usage, UsageTail)
	def(&s.ClosedPort, 9)
	def(&s.Limits.Body, defaultBody)
	def(&s.Limits.HeaderKiB, 60)
	def(&s.Limits.Headers, 100)
	def(&s.Limits.Connections, 10_000)
	def(&s.Limits.Streams, 100)
	def(&s.Limits.Heap, 1<<30)
	def(&s.Deadlines.Request, 30*time.Second)
	def(&s.Deadlines.Plan, 10*time.Second)
	def(&s.Deadlines.Wait, maxPlan)
	def(&s.Deadlines.Attempt, defaultAttempt)
	def(&s.Retry.Max, 8)
	if s.Retry.Statuses == nil {
		s.Retry.Statuses = []uint32{401, 402, 403, 408, 409, 425, 429}
	}
	s.Providers = slices.Clone(s.Providers)
	slices.SortFunc(s.Providers, func(a, b Upstream) int { return strings.Compare(a.Name, b.Name) })
	if err := s.check(); err != nil {
		return s, err
	}
	for i := range s.Providers {
		p := &s.Providers[i]
		def(&p.ConnectTimeout, 5*time.Second)
		if p.CAFile == "" && p.TLS {
			if err := s.authorities(); err != nil {
				return s, fmt.Errorf("provider %s: %w", p.Name, err)
			}
			p.CAFile = s.CAFile
		}
	}
	for i := range s.Identity.Issuers {
		if n := &s.Identity.Issuers[i]; n.URL != nil && n.URL.Scheme == "https" && n.CAFile == "" {
			if err := s.authorities(); err != nil {
				return s, fmt.Errorf("issuer %s: %w", n.Name, err)
			}
		}
	}
	s.Deadlines.Idle = slices.Compact(slices.Sorted(slices.Values(s.Deadlines.Idle)))
	return s, nil
}

// stored is how large a body Envoy keeps. The service refuses bodies above the limit itself; what it adds
// to one that is just under must not make a retry impossible.
func (s *Spec) stored() int64 { return s.Limits.Body + 64<<10 }

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// authorities finds the file of authorities for those that name none.
func (s *Spec) authorities() error {
	if s.CAFile == "" {
		s.CAFile = systemCA()
	}
	if s.CAFile == "" {
		return errors.New("no file of authorities is set, and the system has none at " + strings.Join(bundles(), ", "))
	}
	return nil
}

func systemCA() string {
	for _, f := range bundles() {
		if st, err := os.Stat(f); err == nil && st.Mode().IsRegular() {
			return f
		}
	}
	return ""
}

func (s *Spec) check() error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: "+format, append([]any{field}, args...)...))
	}
	if err := s.checkAddresses(); err != nil {
		faults = append(faults, err)
	}
	if err := errors.Join(s.TLS.check(), s.Identity.check()); err != nil {
		faults = append(faults, err)
	}
	positive := func(field string, v int64) {
		if v < 1 {
			fault(field, "must be positive, not %d", v)
		}
	}
	positive("Limits.Body", s.Limits.Body)
	positive("Limits.Headers", int64(s.Limits.Headers))
	positive("Limits.Connections", int64(s.Limits.Connections))
	positive("Limits.Streams", int64(s.Limits.Streams))
	positive("Limits.Heap", s.Limits.Heap)
	positive("Deadlines.Request", int64(s.Deadlines.Request))
	positive("Deadlines.Attempt", int64(s.Deadlines.Attempt))
	if s.Limits.Body > maxBody {
		fault("Limits.Body", "at most %d bytes, not %d", maxBody, s.Limits.Body)
	}
	if s.Limits.HeaderKiB < 1 || s.Limits.HeaderKiB > 8192 {
		fault("Limits.HeaderKiB", "from 1 to 8192, not %d", s.Limits.HeaderKiB)
	}
	if s.Deadlines.Plan <= 0 || s.Deadlines.Plan > maxPlan {
		fault("Deadlines.Plan", "up to %s, not %s", maxPlan, s.Deadlines.Plan)
	}
	if s.Deadlines.Wait <= 0 || s.Deadlines.Wait > maxWait {
		fault("Deadlines.Wait", "up to %s, not %s", maxWait, s.Deadlines.Wait)
	}
	for _, d := range s.Deadlines.Idle {
		if d < time.Millisecond || d%time.Millisecond != 0 {
			fault("Deadlines.Idle", "must be whole milliseconds, not %s", d)
		}
	}
	if s.Usage != UsageTail && s.Usage != UsageEnvoy {
		fault("Usage", "must be %s or %s, not %q", UsageTail, UsageEnvoy, s.Usage)
	}
	if !utf8.ValidString(fmt.Sprint(*s)) {
		fault("Spec", "a string in it is not UTF-8")
	}
	seen := map[string]bool{}
	for i := range s.Providers {
		p := &s.Providers[i]
		if err := p.check(); err != nil {
			fault(fmt.Sprintf("provider %q", p.Name), "%w", err)
		}
		if seen[p.Name] {
			fault(fmt.Sprintf("provider %q", p.Name), "stands twice")
		}
		seen[p.Name] = true
	}
	return errors.Join(faults...)
}

func (s *Spec) checkAddresses() error {
	var faults []error
	if a, err := netip.ParseAddrPort(s.Listen); err != nil || a.Port() == 0 {
		faults = append(faults, fmt.Errorf("Listen: %q is not an IP address and a port", s.Listen))
	}
	if path, ok := strings.CutPrefix(s.Service.Address, unixScheme); ok {
		if err := checkSocket("Service.Address", path); err != nil {
			faults = append(faults, err)
		}
	} else if _, _, err := hostPort(s.Service.Address); err != nil {
		faults = append(faults, fmt.Errorf("Service.Address: %w", err))
	}
	if (s.Service.Cert == "") != (s.Service.Key == "") || s.Service.Cert != "" && s.Service.CA == "" || s.Service.CA != "" && s.Service.Name == "" {
		faults = append(faults, errors.New("Service: Cert, Key, CA and Name go together; CA and Name may stand alone"))
	}
	if path, ok := strings.CutPrefix(s.Service.Own, unixScheme); ok {
		if err := checkSocket("Service.Own", path); err != nil {
			faults = append(faults, err)
		}
	} else if s.Service.Own != "" {
		faults = append(faults, fmt.Errorf("Service.Own: %q is not a Unix socket", s.Service.Own))
	}
	if path, ok := strings.CutPrefix(s.Admin, unixScheme); ok {
		if err := checkSocket("Admin", path); err != nil {
			faults = append(faults, err)
		}
	} else if s.Admin != "" {
		if a, err := netip.ParseAddrPort(s.Admin); err != nil || !a.Addr().IsLoopback() {
			faults = append(faults, fmt.Errorf("Admin: %q is neither a Unix socket nor an address on loopback", s.Admin))
		}
	}
	if s.ClosedPort < 1 || s.ClosedPort > 65535 {
		faults = append(faults, fmt.Errorf("ClosedPort: %d is not a port", s.ClosedPort))
	}
	return errors.Join(faults...)
}

func checkSocket(field, path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s: the path of a Unix socket must be absolute, not %q", field, path)
	}
	if len(path) > maxSocketPathLen {
		return fmt.Errorf("%s: the path of a Unix socket has at most %d bytes, %q has %d", field, maxSocketPathLen, path, len(path))
	}
	return nil
}

// hostPort splits host:port.
func hostPort(addr string) (string, uint32, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("%q is not host:port", addr)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q has no port", addr)
	}
	return host, uint32(n), nil
}

// reserved are the cluster names that plans use for something else than providers.
func reserved(name string) bool {
	return name == ClusterService || strings.HasPrefix(name, ClusterService+"-") || strings.HasSuffix(name, dnsSuffix)
}

func (p *Upstream) check() error {
	if ok, _ := regexp.MatchString(`^[A-Za-z0-9][A-Za-z0-9._-]*$`, p.Name); !ok || len(p.Name) > 100 {
		return errors.New("a name has letters, digits, dots, dashes and underscores")
	}
	if reserved(p.Name) {
		return fmt.Errorf("names that are %q, begin with %q or end in %q are taken", ClusterService, ClusterService+"-", dnsSuffix)
	}
	if p.Host == "" || strings.ContainsAny(p.Host, "/@ \t\r\n%[]") {
		return fmt.Errorf("host %q is neither a name nor an address", p.Host)
	}
	if p.Port < 1 || p.Port > 65535 {
		return fmt.Errorf("%d is not a port", p.Port)
	}
	if p.ConnectTimeout < 0 {
		return errors.New("the connect timeout must not be negative")
	}
	return nil
}
