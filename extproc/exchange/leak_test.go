package exchange_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/azure"
	"github.com/signalbox-ai/signalbox/providers/bedrock"
	"github.com/signalbox-ai/signalbox/providers/providertest"
	"github.com/signalbox-ai/signalbox/providers/sign"
	"github.com/signalbox-ai/signalbox/providers/vertex"
	"github.com/signalbox-ai/signalbox/routing"
)

// credentialed is a provider with the credential that its requests carry.
type credentialed struct {
	*providers.Provider
	model string
	own   string // what its requests carry once; nothing else that begins with stolen may be in them
}

// stolen begins every credential of these tests, and stands nowhere else.
const stolen = "sk-secret-of-"

// ofTheClient is what the client presents, in every header and query that can hold a credential.
const ofTheClient = stolen + "the-client-0123456789"

// signedBy are params by which a kind signs without a key, with what variables of the environment hold; nil where it
// cannot.
func signedBy(k providers.Kind, variable string) any {
	if k.Params == nil {
		return nil
	}
	switch p := k.Params().(type) {
	case *bedrock.Params:
		p.Auth.Source, p.Auth.AccessKeyID, p.Auth.SecretAccessKey = "static", secret.Ref("env:"+variable), secret.Ref("env:"+variable+"_SECRET")
		return p
	case *vertex.Params:
		p.Auth.Source, p.Auth.Token, p.Project = "token", secret.Ref("env:"+variable), "project"
		return p
	case *azure.Params:
		p.Auth.Source, p.Auth.Token = "token", secret.Ref("env:"+variable)
		return p
	}
	return nil
}

// everyProvider makes two providers of each kind with a key, and two that sign otherwise where the kind can. Of vendors
// that set the same headers, one stands for all.
func everyProvider(t *testing.T) [2][]credentialed {
	t.Helper()
	pool := sign.NewPool(slog.New(slog.DiscardHandler), http.DefaultClient)
	t.Cleanup(pool.Close)
	lease := pool.Lease()
	t.Cleanup(lease.Release)
	var out [2][]credentialed
	for _, k := range everyKind(t) {
		model := "m"
		if len(k.Models) > 0 {
			model = strings.ReplaceAll(k.Models[0], "*", "x")
		}
		for i := range out {
			name := fmt.Sprintf("%s-%d", k.Name, i)
			key := stolen + name + "-0123456789"
			out[i] = append(out[i], credentialed{newProvider(t, k, name, "", "", providers.Key{ID: "k", Secret: secret.New(key)}), model, key})
			variable := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
			params := signedBy(k, variable)
			if params == nil {
				continue
			}
			name = "signing-" + name
			key = stolen + name + "-0123456789"
			t.Setenv(variable, key)
			t.Setenv(variable+"_SECRET", stolen+"the-secret-of-"+name)
			u, err := providers.ParseBase("https://" + name + ".example")
			if err != nil {
				t.Fatal(err)
			}
			a, err := k.New(providers.Env{Name: name, BaseURL: u, Region: "us-east-1", Sources: lease}, params)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			out[i] = append(out[i], credentialed{&providers.Provider{Name: name, Kind: k.Name, Base: u, Adapter: a, Keys: providers.NewKeyring()}, model, key})
		}
	}
	return out
}

// TestNoHeaderOfAnEarlierAttemptStays tries all ordered pairs of kinds of providers, and some triples, for clients of
// all conversations: after the mutations of an attempt on top of those before it, the request holds its own provider's
// credential once, and no other: in no header, not in the path, its query or the body. Nor does it hold anything of ours
// or Envoy's but what Envoy's last filter takes out.
func TestNoHeaderOfAnEarlierAttemptStays(t *testing.T) {
	ps := everyProvider(t)
	snapshot := &exchange.Snapshot{
		Version: "1", Providers: map[string]*providers.Provider{}, Registry: all.Kinds(), Servers: servers(), Keys: auth.Open(auth.Options{}), MaxBody: 1 << 20, MaxAnswer: 1 << 20,
	}
	known := map[string]credentialed{}
	for _, p := range slices.Concat(ps[0], ps[1]) {
		snapshot.Providers[p.Name], known[p.Name] = p.Provider, p
	}
	var routes []*routing.Route
	route := func(order ...credentialed) {
		rt := &routing.Route{Name: fmt.Sprint("r", len(routes)), Failover: routing.Failover{FirstToken: true, ErrorBodies: true, Budget: 20}}
		rt.Models = []string{rt.Name}
		for _, p := range order {
			rt.Targets = append(rt.Targets, routing.Target{Provider: p.Name, Model: p.model})
		}
		routes = append(routes, rt)
	}
	for i, a := range ps[0] {
		for j, b := range ps[1] {
			route(a, b)
			for n := range 3 { // of each pair with some that follow
				if third := ps[0][(i+j+7*n+1)%len(ps[0])]; third.Name != a.Name {
					route(a, b, third)
				}
			}
		}
	}
	snapshot.Table = routing.NewTable(routes, nil)
	clock := &clock{time.Unix(1e9, 0)}
	core := exchange.New(snapshot, exchange.Options{Now: clock.now})
	doors, err := providertest.Doors(all.Servers())
	if err != nil {
		t.Fatal(err)
	}
	attempts := 0
	for i := range doors {
		if doors[i].Op != llm.OpChat {
			continue
		}
		for n, rt := range routes {
			clock.t = clock.t.Add(time.Second) // so that no retry budget is spent
			f := follower{core: core, known: known, door: &doors[i], stream: n%2 == 0}
			f.follow(t, rt.Name)
			attempts += f.attempts
		}
	}
	t.Logf("%d attempts at %d providers, on %d routes", attempts, len(known), len(routes))
	if most := len(routes) * 7; attempts < most {
		t.Errorf("only %d attempts were made on %d routes", attempts, len(routes))
	}
}

// follower follows one request through all its attempts.
type follower struct {
	core     *exchange.Core
	known    map[string]credentialed
	door     *providertest.Door
	stream   bool
	attempts int
}

func (f *follower) follow(t *testing.T, model string) {
	t.Helper()
	in, err := f.door.Inbound(f.door.Requests[0], f.stream)
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Replace(in.Body, []byte(`"model":"m"`), []byte(`"model":"`+model+`"`), 1)
	path := strings.Replace(strings.Replace(in.Path, "/models/m:", "/models/"+model+":", 1), "/model/m/", "/model/"+model+"/", 1)
	h := exchange.Header{
		{Name: ":method", Value: "POST"}, {Name: ":path", Value: path + "?" + strings.TrimPrefix(in.Query+"&key="+ofTheClient, "&")}, {Name: "content-type", Value: "application/json"},
		{Name: "anthropic-beta", Value: "b"}, {Name: "openai-beta", Value: "o"}, {Name: "x-signalbox-retry", Value: "1"}, {Name: "x-signalbox-evil", Value: "1"},
		{Name: "x-forwarded-for", Value: "10.0.0.1"},
	}
	for _, n := range all.Kinds().Sets() { // the same credential in every header that can hold one
		switch n {
		case "anthropic-version":
			h = append(h, providers.Header{Name: n, Value: "2023-06-01"})
		case "authorization":
			h = append(h, providers.Header{Name: n, Value: "Bearer " + ofTheClient})
		default:
			h = append(h, providers.Header{Name: n, Value: ofTheClient})
		}
	}
	x := f.core.Begin()
	if r := x.Head(context.Background(), h, false); r.Answer != nil {
		t.Fatalf("%s: refused: %v", f.door.Name, r.Answer.Err)
	}
	r := x.Body(t.Context(), body)
	if r.Plan == nil {
		t.Fatalf("%s: refused: %v", f.door.Name, r.Answer.Err)
	}
	if strings.Contains(r.Plan.Ticket, ofTheClient) {
		t.Fatalf("%s: the client's credential is in the ticket", f.door.Name)
	}
	if r.Replace {
		body = r.Body
	}
	h = mutate(h, &r)
	for i, cluster := range r.Plan.Clusters[:len(r.Plan.Clusters)-1] {
		f.attempts++
		sent := body
		if i > 0 || h.Get("x-signalbox-watch") == "2" {
			a, answer := f.core.Try(r.Plan.Ticket, i+1, cluster, h)
			if answer != nil {
				t.Fatalf("attempt %d: %v", i+1, answer.Err)
			}
			reply := a.Request(t.Context(), body)
			if reply.Answer != nil {
				t.Fatalf("attempt %d: %s: %v", i+1, cluster, reply.Answer.Err)
			}
			if h = mutate(h, &reply); reply.Replace {
				sent = reply.Body
			}
		}
		checkSent(t, h, sent, f.known[cluster])
	}
}

// checkSent checks what a provider would get.
func checkSent(t *testing.T, h exchange.Header, body []byte, p credentialed) {
	t.Helper()
	path, _, _ := strings.Cut(h.Get(":path"), "?")
	anthropic := strings.HasSuffix(path, "/messages")
	own := 0
	for _, f := range h {
		own += strings.Count(f.Value, p.own)
		switch rest := strings.ReplaceAll(f.Value, p.own, ""); {
		case strings.Contains(rest, stolen):
			t.Fatalf("%s would get %s: %s", p.Name, f.Name, f.Value)
		case removedByEnvoy(f.Name):
		case strings.HasPrefix(f.Name, "x-signalbox-"), f.Name == "x-forwarded-for":
			t.Fatalf("%s would get %s", p.Name, f.Name)
		case strings.HasPrefix(f.Name, "anthropic-") && !anthropic, strings.HasPrefix(f.Name, "openai-") && anthropic:
			t.Fatalf("%s would get %s of another dialect", p.Name, f.Name)
		}
	}
	if own != 1 {
		t.Fatalf("%s would get its own credential %d times", p.Name, own)
	}
	if bytes.Contains(body, []byte(stolen)) {
		t.Fatalf("%s would get a credential in the body: %s", p.Name, body)
	}
	if h.Get(":authority") != p.Base.Host {
		t.Fatalf("%s would get what is sent to %s", p.Name, h.Get(":authority"))
	}
}
