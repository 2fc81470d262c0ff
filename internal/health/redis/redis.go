// Package redis lets replicas tell each other what they know of health, through a Redis: standalone, behind Sentinels, or
// a Cluster.
//
//	h:{health}:told  hash  by replica: its summary (health.Known.Summary)
//	h:{health}:when  zset  replicas, by when they told it (Unix ms, by Redis's clock)
//	h:{health}:turn:HASH  string  the replica whose turn it is to probe something, until the key expires
//
// Once in an interval each replica writes its summary and reads those of the others, in one call; no request causes any.
// What is there is soft: it expires when nobody tells, and without Redis each replica goes by what it knows itself.
package redis

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	_ "embed"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/redis"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Params of Gossip.
type Params struct {
	URL      string                                      // see redis.CheckURL
	Password func(context.Context) (secret.Value, error) // nil: none
	TLS      *tls.Config                                 // of rediss://; nil: the system's authorities
	Known    health.Known
	Every    time.Duration // 1 s
	Log      *slog.Logger
	Up       func(up bool, replicas int) // told after each call; nil: nobody asks
}

// Gossip is a replica's part in telling.
type Gossip struct {
	client goredis.UniversalClient
	p      Params
	id     string
	calls  atomic.Uint64
	away   bool
	tell   *goredis.Script
	turn   *goredis.Script
}

//go:embed tell.lua
var tellText string

//go:embed turn.lua
var turnText string

// Bounds.
const (
	forgotten = 15 * time.Second // after which who tells nothing is gone
	patience  = 500 * time.Millisecond
	most      = 64 // replicas that are heard: those that told last
)

// New makes a replica's part. It connects when it runs.
func New(p Params) (*Gossip, error) {
	at, err := redis.Locate(p.URL)
	if err != nil {
		return nil, err
	}
	if p.Every <= 0 {
		p.Every = time.Second
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	return &Gossip{
		client: at.Connect(redis.Options{Password: p.Password, TLS: p.TLS, Timeout: patience, Patience: patience, Connections: 2}),
		p:      p, id: hex.EncodeToString(id[:]), tell: goredis.NewScript(tellText), turn: goredis.NewScript(turnText),
	}, nil
}

// Run tells and hears until the context ends, and then closes the connections.
func (g *Gossip) Run(ctx context.Context) {
	defer g.client.Close()
	t := time.NewTicker(g.p.Every)
	defer t.Stop()
	for {
		g.once(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// once tells and hears, and says when Redis is away and when it is back.
func (g *Gossip) once(ctx context.Context) {
	n, err := g.exchange(ctx)
	if ctx.Err() != nil {
		return
	}
	switch {
	case err != nil && !g.away:
		g.p.Log.Warn("health is not shared: each replica goes by its own", "error", err)
	case err == nil && g.away:
		g.p.Log.Info("health is shared again", "replicas", n+1)
	}
	g.away = err != nil
	if g.p.Up != nil {
		g.p.Up(err == nil, n+1)
	}
}

// call is the id of a call, by which its reply is known.
func (g *Gossip) call() string { return g.id + "." + strconv.FormatUint(g.calls.Add(1), 36) }

// Turn reports whether it is this replica's turn to do something, for so long from now. Where it is another's, left is for how
// long. Who has the turn gets it again. Whoever does not end it in time loses it.
func (g *Gossip) Turn(ctx context.Context, what string, d time.Duration) (mine bool, left time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	sum := sha256.Sum256([]byte(what))
	call := g.call()
	v, err := g.turn.Run(ctx, g.client, []string{"h:{health}:turn:" + hex.EncodeToString(sum[:12])}, call, g.id, max(d.Milliseconds(), 1)).StringSlice()
	if err != nil {
		return false, 0, fmt.Errorf("asking Redis whose turn it is: %w", err)
	}
	if len(v) != 2 || v[0] != call {
		return false, 0, fmt.Errorf("asking Redis whose turn it is: a reply belongs to another call")
	}
	ms, err := strconv.ParseInt(v[1], 10, 64)
	if err != nil {
		return false, 0, fmt.Errorf("asking Redis whose turn it is: a reply has another form")
	}
	return ms == 0, time.Duration(ms) * time.Millisecond, nil
}

func (g *Gossip) exchange(ctx context.Context) (replicas int, err error) {
	summary, err := g.p.Known.Summary(time.Now())
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	call := g.call()
	v, err := g.tell.Run(ctx, g.client, []string{"h:{health}:told", "h:{health}:when"}, call, g.id, summary, forgotten.Milliseconds(), most).StringSlice()
	if err != nil {
		return 0, fmt.Errorf("telling Redis: %w", err)
	}
	if len(v)%2 != 1 || v[0] != call {
		return 0, fmt.Errorf("telling Redis: a reply belongs to another call")
	}
	var others []health.Heard
	for i := 1; i < len(v); i += 2 {
		age, err := strconv.ParseInt(v[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("telling Redis: a reply has another form")
		}
		others = append(others, health.Heard{Summary: []byte(v[i+1]), Age: time.Duration(age) * time.Millisecond})
	}
	return len(others), g.p.Known.Hear(others, time.Now())
}
