package admin_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/admin"
	"github.com/signalbox-ai/signalbox/internal/admin/openapi"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/rerate"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/store"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

var update = flag.Bool("update", false, "rewrite docs/openapi.json")

const root = "the-administrators-token"

// rig is an admin API over a store in a file.
type rig struct {
	t     *testing.T
	url   string
	logs  *bytes.Buffer
	store *store.Store
	books book.Store
	keys  map[string]string // role@team → a key of it
	sign  *ecdsa.PrivateKey

	content bool // the configuration allows answers of evaluations to be kept
}

func newRig(t *testing.T) *rig {
	t.Helper()
	ctx := context.Background()
	sealer, err := store.NewSealer(secret.New("a secret that seals"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "s.db"), store.Options{Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	r := &rig{t: t, logs: &bytes.Buffer{}, store: s, keys: map[string]string{}}
	if r.sign, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if err := s.Change(ctx, store.Actor{Name: "test"}, func(tx *store.Tx) error {
		return tx.Adopt([]store.Organization{{Name: "acme"}, {Name: "globex"}},
			[]store.Team{{Name: "core", Organization: "acme"}, {Name: "edge", Organization: "acme"}, {Name: "other", Organization: "globex"}},
			[]store.Project{{Name: "search", Team: "core"}, {Name: "maps", Team: "edge"}})
	}); err != nil {
		t.Fatal(err)
	}
	var static []*auth.Key
	for _, role := range []string{"owner", "admin", "member", "viewer", "billing"} {
		text, _ := auth.Generate("test")
		sum, _ := auth.ParseHash(auth.HashKey(text))
		k := &auth.Key{ID: role, Name: role, Hash: sum, Owner: auth.Owner{Organization: "acme", Team: "core"}}
		k.Role, _ = auth.ParseRole(role)
		static, r.keys[role] = append(static, k), text
	}
	gate := auth.NewGate(static, auth.Options{Issuers: []auth.Issuer{{Name: "corp", Key: &auth.Key{ID: "jwt:corp", Name: "corp", Role: auth.RoleAdmin, Scope: auth.Scope{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Owner: auth.Owner{Organization: "acme", Team: "core"}}, Claims: auth.Claims{User: "sub"}},
		{Name: "whole", Key: &auth.Key{ID: "jwt:whole", Name: "whole", Role: auth.RoleOwner, Owner: auth.Owner{Organization: "acme"}}},
		{Name: "shared", Key: &auth.Key{ID: "jwt:shared", Name: "shared"}, Claims: auth.Claims{Organization: "org", Team: "team", Role: "role"}}}})
	tokens := admin.NewVerifier(ctx, []admin.TokenIssuer{{Name: "corp", Issuer: "https://corp.example", Audiences: []string{"signalbox"}, Keys: []crypto.PublicKey{r.sign.Public()}},
		{Name: "whole", Issuer: "https://whole.example", Audiences: []string{"signalbox"}, Keys: []crypto.PublicKey{r.sign.Public()}},
		{Name: "shared", Issuer: "https://shared.example", Audiences: []string{"signalbox"}, Keys: []crypto.PublicKey{r.sign.Public()}}})
	books, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = books.Close() })
	r.books = books
	h := admin.New(admin.Options{
		Store: s, Ledger: books, Rerate: func(ctx context.Context, q book.Filter, apply bool) (rerate.Report, error) {
			return rerate.Run(ctx, books, q, double, !apply, nil)
		}, Keys: auth.NewDirectory(secret.New("pepper")), Token: secret.New(root), Gate: func() *auth.Gate { return gate },
		Explain: func(_ context.Context, all []*ledger.Record) *v1.ExplainExchangeResponse {
			return &v1.ExplainExchangeResponse{Route: all[0].Asked.Route}
		},
		Tokens:   func() *admin.Verifier { return tokens },
		Routes:   tried,
		Prompts:  prompts(t),
		Evals:    admin.Evals{Version: func() string { return "c1-1" }, Content: func() bool { return r.content }},
		Failures: auth.NewLimiter(5, time.Minute, 100), Log: slog.New(slog.NewTextHandler(r.logs, nil)),
	}).Handler()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

// ask posts JSON to a method, as NAME of SERVICE.
func (r *rig) ask(token, method, body string, headers ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url+"/signalbox.admin.v1."+method, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("content-type", "application/json")
	if token != "" {
		req.Header.Set("authorization", "Bearer "+token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func (r *rig) want(token, method, body string, status int, parts ...string) string {
	r.t.Helper()
	got, text := r.ask(token, method, body)
	if got != status {
		r.t.Errorf("%s %s: %d %s, want %d", method, body, got, text, status)
	}
	for _, p := range parts {
		if !strings.Contains(text, p) {
			r.t.Errorf("%s %s: %s lacks %s", method, body, text, p)
		}
	}
	return text
}

func TestWhatAnAdministratorDoes(t *testing.T) {
	r := newRig(t)
	made := r.want(root, "KeyService/CreateKey", `{"name":"app","project":"search","scope":{"models":["gpt-*"]},"expires":"2099-01-01T00:00:00Z"}`, 200, `"team":"core"`, `"organization":"acme"`, `"role":"member"`, `"secret":"sb_live_`)
	id, _ := jsonx.String(jsonx.At([]byte(made), "key", "id"))
	text, _ := jsonx.String(jsonx.At([]byte(made), "secret"))
	if shown := r.want(root, "KeyService/GetKey", `{"id":"app"}`, 200, id, "gpt-*", "hint"); strings.Contains(shown, strings.Split(text, "_")[3]) {
		t.Error("the secret is shown again")
	}
	r.want(root, "KeyService/UpdateKey", `{"id":"app","scope":{"regions":["eu"],"templates":["support-*"]},"version":"1"}`, 200, `"regions":["eu"]`, `"templates":["support-*"]`, `"version":"2"`)
	r.want(root, "KeyService/UpdateKey", `{"id":"app","updateMask":"expires"}`, 200, `"version":"3"`)
	r.want(root, "KeyService/UpdateKey", `{"id":"app","version":"1","name":"new"}`, 409, "aborted", "version")
	r.want(root, "KeyService/UpdateKey", `{"id":"app"}`, 400, "update_mask")
	r.want(root, "KeyService/UpdateKey", `{"id":"app","updateMask":"state"}`, 400, "possible: expires, name, role, scope")
	r.want(root, "KeyService/RotateKey", `{"id":"app","overlap":"3600s"}`, 200, `"secret":"sb_live_`, `"until"`)
	r.want(root, "KeyService/RotateKey", `{"id":"app","overlap":"-1s"}`, 400, "overlap")
	r.want(root, "KeyService/DisableKey", `{"id":"app"}`, 200, `"disabled"`)
	r.want(root, "KeyService/EnableKey", `{"id":"app"}`, 200, `"active"`)
	r.want(root, "KeyService/RevokeKey", `{"id":"app"}`, 200, `"revoked"`)
	r.want(root, "KeyService/EnableKey", `{"id":"app"}`, 400, "revoked")
	r.want(root, "KeyService/DeleteKey", `{"id":"app"}`, 200, "{}")
	r.want(root, "KeyService/GetKey", `{"id":"app"}`, 404, "not_found")

	r.want(root, "TeamService/CreateTeam", `{"name":"new","organization":"acme","title":"New"}`, 200)
	r.want(root, "TeamService/CreateTeam", `{"name":"new","organization":"acme"}`, 409, "already_exists")
	r.want(root, "TeamService/CreateTeam", `{"name":"NEW","organization":"acme"}`, 400, "invalid_argument", "google.rpc.BadRequest")
	r.want(root, "TeamService/ListTeams", `{"organization":"acme","page":{"size":2}}`, 200, `"core"`, `"edge"`, `"nextToken":"edge"`)
	r.want(root, "TeamService/ListTeams", `{"organization":"acme","page":{"size":2,"token":"edge"}}`, 200, `"new"`)
	r.want(root, "TeamService/ListTeams", `{"page":{"size":5000}}`, 400, "page.size")
	r.want(root, "TeamService/DeleteTeam", `{"id":"core"}`, 400, "failed_precondition")
	if text := r.want(root, "TeamService/SetProviderKey", `{"team":"core","provider":"openai","key":"sk-provider-secret-1"}`, 200, `et-1`); strings.Contains(text, "sk-provider") {
		t.Error("a provider key is shown")
	}
	r.want(root, "TeamService/ListProviderKeys", `{}`, 200, `core:openai`)
	r.want(root, "BudgetService/CreateBudget", `{"level":"team","owner":"core","unit":"money","amount":"500000000000","per":"month","alertAt":[50,100]}`, 200, `"id":"team_core_money_month_"`)
	r.want(root, "BudgetService/UpdateBudget", `{"id":"team_core_money_month_","updateMask":"amount","amount":"0"}`, 400, "amount: from 1")
	r.want(root, "BudgetService/CreateBudget", `{"level":"team","owner":"core","unit":"euro","per":"month"}`, 400, "unit")
	r.want(root, "ProjectService/UpdateProject", `{"name":"search","title":"Search"}`, 200, `"Search"`)
	r.want(root, "OrganizationService/ListOrganizations", `{}`, 200, `"acme"`, `"globex"`)
	log := r.want(root, "AuditService/ListChanges", `{"page":{"size":1000}}`, 200, `"admin-token"`, `"rotate"`, `"revoke"`, `127.0.0.1`)
	for _, s := range []string{strings.Split(text, "_")[3], "sk-provider-secret-1", root} {
		if strings.Contains(log, s) || strings.Contains(r.logs.String(), s) {
			t.Errorf("a secret is in the audit log or in the log")
		}
	}
	r.want(root, "AuditService/ListChanges", `{"page":{"size":5000}}`, 400, "page.size")
	r.want(root, "KeyService/CreateKey", `{"name":"x","nonsense":1}`, 400)
	r.want(root, "KeyService/NoSuch", `{}`, 404)
}

func TestARepeatedRequestIsDoneOnce(t *testing.T) {
	r := newRig(t)
	const body = `{"name":"app","team":"core"}`
	status, first := r.ask(root, "KeyService/CreateKey", body, "idempotency-key: k1")
	again, second := r.ask(root, "KeyService/CreateKey", body, "idempotency-key: k1")
	a, b := jsonx.At([]byte(first), "key", "id"), jsonx.At([]byte(second), "key", "id")
	if status != 200 || again != 200 || string(a) != string(b) || strings.Contains(second, `"secret":"sb_`) || !strings.Contains(first, `"secret":"sb_`) {
		t.Errorf("got %d %s, then %d %s", status, first, again, second)
	}
	if status, body := r.ask(root, "KeyService/CreateKey", `{"name":"app2","team":"core"}`, "idempotency-key: k1"); status != 400 || !strings.Contains(body, "idempotency key") {
		t.Errorf("another request: %d %s", status, body)
	}
	for _, c := range []struct{ method, body string }{
		{"KeyService/UpdateKey", `{"id":"app","name":"renamed"}`},
		{"KeyService/DeleteKey", `{"id":"renamed"}`},
		{"ProjectService/DeleteProject", `{"id":"search"}`},
	} {
		for range 2 {
			if status, text := r.ask(r.keys["owner"], c.method, c.body, "idempotency-key: "+c.method); status != 200 {
				t.Errorf("%s: %d %s", c.method, status, text)
			}
		}
		if status, _ := r.ask(r.keys["owner"], c.method, c.body, "idempotency-key: other"); status != 404 {
			t.Errorf("%s, not repeated: %d", c.method, status)
		}
		if status, _ := r.ask(r.keys["member"], c.method, c.body, "idempotency-key: "+c.method); status != 404 {
			t.Errorf("%s, of another: %d", c.method, status)
		}
	}
}

func TestWhoMayWhat(t *testing.T) {
	r := newRig(t)
	for _, b := range []string{`{"level":"team","owner":"core","unit":"requests","amount":"5","per":"minute"}`, `{"level":"project","owner":"search","unit":"requests","amount":"5","per":"minute"}`} {
		r.want(root, "BudgetService/CreateBudget", b, 200)
	}
	r.want(root, "KeyService/CreateKey", `{"name":"core-key","team":"core"}`, 200)
	r.want(root, "KeyService/CreateKey", `{"name":"core-owner","team":"core","role":"owner"}`, 200)
	r.want(root, "KeyService/CreateKey", `{"name":"edge-key","team":"edge"}`, 200)
	r.want(root, "KeyService/CreateKey", `{"name":"globex-key","team":"other"}`, 200)
	n := 0
	for _, c := range []struct {
		method, body string
		want         map[string]int // by role
	}{
		{"TeamService/GetTeam", `{"id":"core"}`, map[string]int{"owner": 200, "billing": 200, "admin": 200, "member": 200, "viewer": 200}},
		{"TeamService/GetTeam", `{"id":"edge"}`, map[string]int{"owner": 200, "billing": 200, "admin": 404, "member": 404, "viewer": 404}},
		{"TeamService/GetTeam", `{"id":"other"}`, map[string]int{"owner": 404, "billing": 404, "admin": 404, "member": 404, "viewer": 404}},
		{"KeyService/GetKey", `{"id":"edge-key"}`, map[string]int{"owner": 200, "billing": 200, "admin": 404, "member": 404}},
		{"KeyService/GetKey", `{"id":"globex-key"}`, map[string]int{"owner": 404, "admin": 404}},
		{"KeyService/DisableKey", `{"id":"core-key"}`, map[string]int{"owner": 200, "admin": 200, "billing": 403, "member": 403, "viewer": 403}},
		{"KeyService/DisableKey", `{"id":"edge-key"}`, map[string]int{"owner": 200, "admin": 404, "billing": 403, "member": 404}},
		{"KeyService/RotateKey", `{"id":"core-owner"}`, map[string]int{"owner": 200, "admin": 403}},
		{"KeyService/CreateKey", `{"name":"N","team":"core"}`, map[string]int{"owner": 200, "admin": 200, "billing": 403, "member": 403, "viewer": 403}},
		{"KeyService/CreateKey", `{"name":"N","team":"edge"}`, map[string]int{"owner": 200, "admin": 400, "member": 400}},
		{"KeyService/CreateKey", `{"name":"N","team":"other"}`, map[string]int{"owner": 400, "admin": 400}},
		{"KeyService/CreateKey", `{"name":"N"}`, map[string]int{"owner": 200, "admin": 200}},
		{"KeyService/CreateKey", `{"name":"N","team":"core","role":"owner"}`, map[string]int{"owner": 200, "admin": 403}},
		{"BudgetService/UpdateBudget", `{"id":"team_core_requests_minute_","amount":"7"}`, map[string]int{"owner": 200, "billing": 200, "admin": 403, "member": 403}},
		{"BudgetService/UpdateBudget", `{"id":"project_search_requests_minute_","amount":"7"}`, map[string]int{"owner": 200, "billing": 200, "admin": 200, "member": 403}},
		{"ProjectService/CreateProject", `{"name":"N","team":"core"}`, map[string]int{"owner": 200, "admin": 200, "member": 400}},
		{"ProjectService/CreateProject", `{"name":"N","team":"edge"}`, map[string]int{"owner": 200, "admin": 400}},
		{"TeamService/CreateTeam", `{"name":"N","organization":"acme"}`, map[string]int{"owner": 200, "admin": 403, "member": 403}},
		{"TeamService/CreateTeam", `{"name":"N","organization":"globex"}`, map[string]int{"owner": 404, "admin": 404}},
		{"OrganizationService/CreateOrganization", `{"name":"N"}`, map[string]int{"owner": 403, "admin": 403}},
		{"AuditService/ListChanges", `{}`, map[string]int{"owner": 400, "admin": 400}},
		{"AuditService/ListChanges", `{"kind":"key","object":"globex-key"}`, map[string]int{"owner": 404}},
	} {
		for role, want := range c.want {
			n++
			if got, text := r.ask(r.keys[role], c.method, strings.ReplaceAll(c.body, `"N"`, fmt.Sprintf(`"n%d"`, n))); got != want {
				t.Errorf("%s: %s %s: got %d %s, want %d", role, c.method, c.body, got, text, want)
			}
		}
	}
	for role, edge := range map[string]bool{"owner": true, "admin": false, "member": false} {
		text := r.want(r.keys[role], "KeyService/ListKeys", `{}`, 200, "core-key")
		if strings.Contains(text, "globex-key") || strings.Contains(text, "edge-key") != edge {
			t.Errorf("%s sees %s", role, text)
		}
		teams := r.want(r.keys[role], "TeamService/ListTeams", `{}`, 200, `"core"`)
		if strings.Contains(teams, `"other"`) || strings.Contains(teams, `"edge"`) != edge {
			t.Errorf("%s sees %s", role, teams)
		}
	}
}

// A name that another organization uses tells nothing, and is free.
func TestNamesOfKeysAreEachOrganizationsOwn(t *testing.T) {
	r := newRig(t)
	r.want(root, "KeyService/CreateKey", `{"name":"app","team":"other"}`, 200)
	r.want(r.keys["admin"], "KeyService/GetKey", `{"id":"app"}`, 404)
	r.want(r.keys["admin"], "KeyService/CreateKey", `{"name":"app","team":"core"}`, 200)
	r.want(r.keys["admin"], "KeyService/CreateKey", `{"name":"app","team":"core"}`, 409)
	r.want(r.keys["admin"], "KeyService/GetKey", `{"id":"app"}`, 200, `"acme"`)
	r.want(r.keys["admin"], "KeyService/DisableKey", `{"id":"app"}`, 200, `"acme"`)
	r.want(r.keys["admin"], "KeyService/RotateKey", `{"id":"app"}`, 200, `"acme"`)
	r.want(r.keys["admin"], "BudgetService/CreateBudget", `{"level":"key","owner":"app","unit":"requests","amount":"5","per":"minute"}`, 200)
	r.want(r.keys["admin"], "AuditService/ListChanges", `{"kind":"key","object":"app"}`, 200, `"rotate"`)
	r.want(root, "KeyService/GetKey", `{"id":"app"}`, 400, "use the id")
	r.want(r.keys["admin"], "KeyService/RevokeKey", `{"id":"app"}`, 200)
	r.want(r.keys["admin"], "KeyService/DeleteKey", `{"id":"app"}`, 200)
	r.want(root, "KeyService/GetKey", `{"id":"app"}`, 200, `"globex"`, `"active"`)
}

// token signs claims as every issuer does.
func (r *rig) token(claims string) string {
	r.t.Helper()
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(head))
	x, y, err := ecdsa.Sign(rand.Reader, r.sign, sum[:])
	if err != nil {
		r.t.Fatal(err)
	}
	sig := make([]byte, 64)
	x.FillBytes(sig[:32])
	y.FillBytes(sig[32:])
	return head + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestWhoIsLetIn(t *testing.T) {
	r := newRig(t)
	r.want("", "TeamService/ListTeams", `{}`, 401, "unauthenticated")
	later := time.Now().Add(time.Hour).Unix()
	r.want(r.token(fmt.Sprintf(`{"iss":"https://corp.example","aud":["signalbox"],"sub":"ann","exp":%d}`, later)), "KeyService/CreateKey", `{"name":"by-token","team":"core"}`, 200)
	r.want(root, "AuditService/ListChanges", `{"kind":"key"}`, 200, `"jwt:corp/ann"`)
	for name, claims := range map[string]string{
		"of another audience": fmt.Sprintf(`{"iss":"https://corp.example","aud":"other","sub":"ann","exp":%d}`, later),
		"that has expired":    `{"iss":"https://corp.example","aud":"signalbox","sub":"ann","exp":1}`,
		"of another issuer":   fmt.Sprintf(`{"iss":"https://else.example","aud":"signalbox","sub":"ann","exp":%d}`, later),
	} {
		if got, text := r.ask(r.token(claims), "TeamService/ListTeams", `{}`); got != 401 {
			t.Errorf("a token %s: %d %s", name, got, text)
		}
	}
	for i := range 3 {
		r.want(fmt.Sprint("wrong-", i), "TeamService/ListTeams", `{}`, 401)
	}
	r.want(root, "TeamService/ListTeams", `{}`, 429, "too many different wrong tokens")
}

func TestGRPC(t *testing.T) {
	r := newRig(t)
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	c := adminv1connect.NewTeamServiceClient(&http.Client{Transport: &http.Transport{Protocols: p}}, r.url, connect.WithGRPC())
	ctx, info := connect.NewClientContext(context.Background())
	info.RequestHeader().Set("authorization", "Bearer "+root)
	got, err := c.ListTeams(ctx, &v1.ListTeamsRequest{Organization: "acme"})
	if err != nil || len(got.Teams) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = c.CreateTeam(ctx, &v1.CreateTeamRequest{Name: "core", Organization: "acme"})
	if connect.CodeOf(err) != connect.CodeAlreadyExists {
		t.Errorf("got %v", err)
	}
	keys := adminv1connect.NewKeyServiceClient(&http.Client{Transport: &http.Transport{Protocols: p}}, r.url, connect.WithGRPC())
	if _, err := keys.UpdateKey(ctx, &v1.UpdateKeyRequest{Id: "app", Expires: &timestamppb.Timestamp{Seconds: 1 << 60}}); connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), "expires") {
		t.Errorf("no time: got %v", err)
	}
}

func TestTheDocumentIsUpToDate(t *testing.T) {
	const file = "../../docs/openapi.json"
	got := openapi.Document(255)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), string(want)); diff != "" {
		t.Errorf("%s is not what the protos say; go test ./internal/admin -update writes it (-got +want):\n%s", file, diff)
	}
	for _, part := range []string{`"/signalbox.admin.v1.KeyService/CreateKey"`, `"openapi": "3.1.0"`, `"idempotency-key"`} {
		if !strings.Contains(string(got), part) {
			t.Errorf("the document lacks %s", part)
		}
	}
	r := newRig(t)
	res, err := http.Get(r.url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); !bytes.Equal(b, got) {
		t.Error("another document is served")
	}
}
