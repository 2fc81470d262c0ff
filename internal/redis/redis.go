// Package redis connects to a Redis, by an address as configurations have it: standalone, behind Sentinels, or a
// Cluster. It knows no command; what is kept there is its users' business.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Place is where a Redis is.
type Place struct {
	addresses []string
	cluster   bool
	master    string // the name that Sentinels know it by
	tls       bool
	user      string
	db        int
}

// forms are the schemes of addresses.
const forms = "redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/MASTER, redis+cluster://HOST:PORT,HOST:PORT, or redis+unix:///PATH; rediss for TLS"

// CheckURL says what is wrong with an address. Its errors do not repeat it.
//
//	redis://[USER@]HOST[:PORT][/DATABASE]
//	redis+sentinel://[USER@]HOST[:PORT],…/MASTER[/DATABASE]
//	redis+cluster://[USER@]HOST[:PORT],…
//	redis+unix:///PATH
//
// rediss in place of redis means TLS. A password is not part of it.
func CheckURL(address string) error {
	_, err := Locate(address)
	return err
}

// Locate reads an address. Its errors are those of CheckURL.
func Locate(address string) (Place, error) {
	scheme, rest, ok := strings.Cut(address, "://")
	name, mode, _ := strings.Cut(scheme, "+")
	if !ok || name != "redis" && name != "rediss" {
		return Place{}, errors.New("the address of a Redis is " + forms)
	}
	p := Place{tls: name == "rediss"}
	if user, after, ok := strings.Cut(rest, "@"); ok {
		if strings.Contains(user, ":") {
			return Place{}, errors.New("a password does not stand in the address; give it by reference beside it")
		}
		plain, err := url.PathUnescape(user)
		if err != nil || plain == "" {
			return Place{}, errors.New("the user in the address is not well-formed")
		}
		p.user, rest = plain, after
	}
	if strings.ContainsAny(rest, "?# ") {
		return Place{}, errors.New("the address has no query and no spaces")
	}
	if mode == "unix" {
		if p.tls || !strings.HasPrefix(rest, "/") || len(rest) < 2 {
			return Place{}, errors.New("a Unix socket is redis+unix:///PATH")
		}
		p.addresses = []string{rest}
		return p, nil
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if err := p.hosts(hosts, mode); err != nil {
		return Place{}, err
	}
	return p, p.path(path, mode)
}

// hosts reads the addresses of servers, with the usual port where none is given.
func (p *Place) hosts(list, mode string) error {
	port := "6379"
	if mode == "sentinel" {
		port = "26379"
	}
	for one := range strings.SplitSeq(list, ",") {
		host, given, err := net.SplitHostPort(one)
		if err != nil {
			host, given = strings.Trim(one, "[]"), port
		}
		if n, err := strconv.ParseUint(given, 10, 16); err != nil || n == 0 || host == "" {
			return errors.New("a server in the address is HOST or HOST:PORT")
		}
		p.addresses = append(p.addresses, net.JoinHostPort(host, given))
	}
	return nil
}

// path reads what stands behind the servers.
func (p *Place) path(path, mode string) error {
	db := path
	switch mode {
	case "":
		if len(p.addresses) > 1 {
			return errors.New("several servers are redis+sentinel or redis+cluster")
		}
	case "cluster":
		if p.cluster = true; path != "" {
			return errors.New("a cluster has no databases")
		}
	case "sentinel":
		p.master, db, _ = strings.Cut(path, "/")
		if p.master == "" {
			return errors.New("the name of the master stands behind the Sentinels: /MASTER")
		}
	default:
		return errors.New("the address of a Redis is " + forms)
	}
	if db == "" {
		return nil
	}
	n, err := strconv.ParseUint(db, 10, 8)
	if err != nil {
		return errors.New("the database in the address is a number")
	}
	p.db = int(n)
	return nil
}

// passwords resolves a password for new connections, so that a rotated one is taken up without a restart.
type passwords struct {
	fetch func(context.Context) (secret.Value, error)
	user  string

	mu   sync.Mutex
	last secret.Value
	at   time.Time
}

// fresh is how long a resolved password serves: a pool that fills must not run a command for each connection.
const fresh = 5 * time.Second

// credentials gives user and password for a connection.
func (p *passwords) credentials(ctx context.Context) (user, password string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() || time.Since(p.at) > fresh {
		v, err := p.fetch(ctx)
		if err != nil {
			return "", "", fmt.Errorf("the password of Redis: %w", err)
		}
		p.last, p.at = v, time.Now()
	}
	return p.user, p.last.Reveal(), nil
}

// dial bounds how long a new connection may take; a call waits only as long as its own deadline says.
const dial = 500 * time.Millisecond

// quiet silences the client library's own log, which all clients of a process share: what goes wrong comes
// back as errors.
var quiet = sync.OnceValue(func() bool { logging.Disable(); return true })

// Options of a connection.
type Options struct {
	Password    func(context.Context) (secret.Value, error) // nil: none
	TLS         *tls.Config                                 // of rediss://; nil: the system's authorities
	Timeout     time.Duration                               // for a connection of the pool to be free
	Patience    time.Duration                               // of a call whose context has no deadline
	Connections int                                         // at most, to each node; 0: 10 for each processor
}

// Connect makes a client. It connects to nothing yet.
func (p Place) Connect(with Options) goredis.UniversalClient {
	quiet()
	o := &goredis.UniversalOptions{
		Addrs: p.addresses, MasterName: p.master, IsClusterMode: p.cluster, Username: p.user, DB: p.db,
		ContextTimeoutEnabled: true,
		DialTimeout:           dial, ReadTimeout: with.Patience, WriteTimeout: with.Patience, PoolTimeout: with.Timeout,
		PoolSize: with.Connections,
		// One more try for a connection that a restarted server closed: every call is safe to repeat.
		MaxRetries: 1, MinRetryBackoff: time.Millisecond, MaxRetryBackoff: 4 * time.Millisecond,
		// Nothing is sent when a connection is made but AUTH, SELECT and HELLO: a late answer to more could be
		// taken for that to a later call (CVE-2025-29923).
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		DialerRetries:            1,
		Protocol:                 2,
	}
	if p.tls {
		o.TLSConfig = with.TLS
		if o.TLSConfig == nil {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	}
	if with.Password != nil {
		keep := &passwords{fetch: with.Password, user: p.user}
		o.CredentialsProviderContext = keep.credentials
	}
	return goredis.NewUniversalClient(o)
}
