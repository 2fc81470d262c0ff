package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // what Redis names scripts by
	_ "embed"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

var (
	//go:embed lua/common.lua
	commonText string
	//go:embed lua/reserve.lua
	reserveText string
	//go:embed lua/settle.lua
	settleText string
	//go:embed lua/lease.lua
	leaseText string
	//go:embed lua/touch.lua
	touchText string
	//go:embed lua/due.lua
	dueText string
	//go:embed lua/turn.lua
	turnText string
	//go:embed lua/trim.lua
	trimText string
)

// script is a text and its name in Redis.
type script struct{ text, sum string }

type scripts struct{ reserve, settle, lease, touch, due, turn, trim script }

// realClock is the line of common.lua that asks for Redis's time.
const realClock = "local function clock() local t = redis.call('TIME'); return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000) end"

// compile puts the scripts together. Tests read their clock from a key beside the organization's.
func compile(clock string) scripts {
	common := commonText
	if clock != "" {
		common = strings.Replace(common, realClock, "local function clock() return tonumber(redis.call('GET', KEYS[1]:sub(1, -2) .. '"+clock+"')) end", 1)
	}
	of := func(text string) script {
		text = common + text
		sum := sha1.Sum([]byte(text)) //nolint:gosec // as above
		return script{text, hex.EncodeToString(sum[:])}
	}
	return scripts{of(reserveText), of(settleText), of(leaseText), of(touchText), of(dueText), of(turnText), of(trimText)}
}

// call names a call, for replies of scripts that concern no single exchange.
func (s *Store) call() string { return "c" + strconv.FormatUint(s.calls.Add(1), 36) }

// run calls a script, by its name, or by its text where Redis does not have it. The reply's second element
// must be id: otherwise it is not the answer to this call.
func (s *Store) run(ctx context.Context, sc script, id string, keys []string, args []any) (reply, error) {
	c := *s.client.Load()
	v, err := c.EvalSha(ctx, sc.sum, keys, args...).Slice()
	if err != nil && unscripted(err) {
		v, err = c.Eval(ctx, sc.text, keys, args...).Slice()
	}
	if err != nil {
		return nil, s.away(err)
	}
	r, err := s.read(v, id)
	if err != nil {
		return nil, err
	}
	return r, r.fault()
}

// unscripted reports whether only the script's text can help: Redis has forgotten it, or the account may not
// call scripts by name.
func unscripted(err error) bool {
	return goredis.HasErrorPrefix(err, "NOSCRIPT") || goredis.HasErrorPrefix(err, "NOPERM")
}

// read checks that a reply answers our call.
func (s *Store) read(v []any, id string) (reply, error) {
	r := make(reply, len(v))
	for i, x := range v {
		text, ok := x.(string)
		if !ok {
			s.renew()
			return nil, fmt.Errorf("%w: a reply has another form", quota.ErrUnavailable)
		}
		r[i] = text
	}
	if len(r) < 2 || r[1] != id {
		s.renew()
		return nil, fmt.Errorf("%w: a reply belongs to another call", quota.ErrUnavailable)
	}
	return r, nil
}

// reply is what a script returned: a word, the id, and more.
type reply []string

// fault is the error that a reply stands for.
func (r reply) fault() error {
	switch r[0] {
	case "ARG":
		return fmt.Errorf("%w: refused by the script, argument %s", quota.ErrMisuse, r.at(2))
	case "CLOCK":
		return fmt.Errorf("%w: budget %s", quota.ErrBehind, r.at(2))
	}
	return nil
}

// at returns an element, "" where there is none.
func (r reply) at(i int) string {
	if i < len(r) {
		return r[i]
	}
	return ""
}

// number reads an element. Scripts write whole decimal numbers only.
func (r reply) number(i int) int64 {
	n, _ := strconv.ParseInt(r.at(i), 10, 64)
	return n
}
