package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/admin"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/rerate"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// august is a filter of the records that used writes.
const august = `"filter":{"from":"2026-08-01T00:00:00Z","until":"2026-09-01T00:00:00Z"}`

// used writes exchanges of three teams of two organizations, and a correction.
func (r *rig) used() {
	r.t.Helper()
	of := func(id, organization, team string, change ...func(*ledger.Record)) *ledger.Record {
		return ledgertest.Make(id, ledgertest.Noon(), append(change, func(rec *ledger.Record) { rec.Organization, rec.Who.Team = organization, team })...)
	}
	ledgertest.Write(r.t, r.books, of("a", "acme", "core"), of("b", "acme", "edge"), of("c", "globex", "other"), of("d", "acme", "core"),
		of("a", "acme", "core", func(rec *ledger.Record) { rec.Sequence, rec.Cause = 1, "late" }))
}

func TestUsageIsReadByWhomItConcerns(t *testing.T) {
	r := newRig(t)
	r.used()
	report := func(token string) string {
		t.Helper()
		_, text := r.ask(token, "UsageService/ReportUsage", `{`+august+`,"by":["organization","team"]}`)
		return text
	}
	ids := regexp.MustCompile(`"id": ?"(.)"`)
	for token, want := range map[string]struct {
		teams   []string
		records string
	}{
		root: {[]string{"core", "edge", "other"}, "aabdc"}, r.keys["owner"]: {[]string{"core", "edge"}, "aabd"}, r.keys["billing"]: {[]string{"core", "edge"}, "aabd"},
		r.keys["admin"]: {[]string{"core"}, "aad"}, r.keys["member"]: {[]string{"core"}, "aad"}, r.keys["viewer"]: {[]string{"core"}, "aad"},
	} {
		got := report(token)
		for _, team := range []string{"core", "edge", "other"} {
			if strings.Contains(got, `"`+team+`"`) != strings.Contains(fmt.Sprint(want.teams), team) {
				t.Errorf("for %v: %s", want.teams, got)
			}
		}
		_, list := r.ask(token, "UsageService/ListRecords", `{`+august+`}`)
		seen := ""
		for _, m := range ids.FindAllStringSubmatch(list, -1) {
			seen += m[1]
		}
		if seen != want.records {
			t.Errorf("records %s, want %s: %s", seen, want.records, list)
		}
	}
	r.want("", "UsageService/ReportUsage", `{}`, 401)
	// What is out of reach does not exist, whatever is asked.
	r.want(r.keys["member"], "UsageService/GetExchange", `{"id":"b"}`, 404, `there is no exchange`)
	r.want(r.keys["member"], "UsageService/GetExchange", `{"id":"c","organization":"globex"}`, 404)
	r.want(r.keys["owner"], "UsageService/GetExchange", `{"id":"b"}`, 200, `"edge"`)
	r.want(root, "UsageService/GetExchange", `{"id":"a","organization":"acme"}`, 200, `"late"`, `"costNanoUsd":"12500000"`, `"input":"1000"`, `"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"`)
	r.want(root, "UsageService/GetExchange", `{"id":"a"}`, 404)
	r.want(r.keys["member"], "UsageService/ReportUsage", `{`+strings.Replace(august, `"until"`, `"where":[{"dimension":"team","values":["edge"]}],"until"`, 1)+`}`, 200)
	if got := report(r.keys["member"]); strings.Contains(got, "globex") {
		t.Errorf("got %s", got)
	}
}

func TestUsageIsReported(t *testing.T) {
	r := newRig(t)
	r.used()
	r.want(root, "UsageService/ReportUsage", `{`+august+`,"by":["tag:feature"],"every":"day"}`, 200, `"start":"2026-08-20T00:00:00Z"`, `"group":["search"]`, `"exchanges":"4"`, `"costNanoUsd":"62500000"`, `"input":"7500"`)
	if _, text := r.ask(root, "UsageService/ReportUsage", `{`+august+`,"by":["team"],"limit":2}`); !strings.Contains(text, `"truncated":true`) || strings.Count(text, `"group"`) != 2 {
		t.Errorf("got %s", text)
	}
	if _, text := r.ask(root, "UsageService/ReportUsage", `{`+august+`,"by":["team"],"limit":3}`); strings.Contains(text, `truncated`) {
		t.Errorf("got %s", text)
	}
	for body, field := range map[string]string{
		`{"by":["dreams"]}`: "by[0]", `{"by":["team","team"]}`: "by[1]", `{"every":"year"}`: "every", `{"limit":-1}`: "limit", `{"limit":100001}`: "limit",
		`{"filter":{"where":[{"dimension":"team","values":["a"]},{"dimension":"tag:","values":["a"]}]}}`: "filter.where[1]", `{"filter":{"where":[{"dimension":"team"}]}}`: "filter.where[0]",
		`{"filter":{"from":"2026-08-02T00:00:00Z","until":"2026-08-01T00:00:00Z"}}`: "filter.until",
	} {
		r.want(root, "UsageService/ReportUsage", body, 400, `"field":"`+field+`"`)
	}
	r.want(root, "UsageService/ListRecords", `{"page":{"token":"nonsense"}}`, 400, `"field":"page.token"`)
	r.want(root, "UsageService/ListRecords", `{"page":{"size":1001}}`, 400, `"field":"page.size"`)
	r.want(root, "UsageService/GetExchange", `{}`, 400, `"field":"id"`)
}

func TestExchangesAreExplainedToThoseWhoSeeThem(t *testing.T) {
	r := newRig(t)
	r.used()
	const method = "UsageService/ExplainExchange"
	r.want("", method, `{"id":"a"}`, 401)
	r.want(r.keys["member"], method, `{"id":"a"}`, 200, `"route":"support"`, `"late"`, `"costNanoUsd":"12500000"`)
	r.want(r.keys["member"], method, `{"id":"b"}`, 404, `there is no exchange \"b\"`)
	r.want(r.keys["member"], method, `{"id":"c","organization":"globex"}`, 404)
	r.want(r.keys["owner"], method, `{"id":"b"}`, 200, `"edge"`)
	r.want(root, method, `{"id":"a"}`, 404)
	r.want(root, method, `{"id":"a","organization":"acme"}`, 200)
	r.want(root, method, `{}`, 400, `"field":"id"`)
	ledgertest.Write(t, r.books, ledgertest.Make("old", ledgertest.Noon(), func(rec *ledger.Record) { rec.Organization, rec.Sequence, rec.Cause = "acme", 1, "late" }))
	r.want(root, method, `{"id":"old","organization":"acme"}`, 400, "its own record has expired")
}

func TestAnotherTeamsExchangeWithTheSameRequestIDHidesNone(t *testing.T) {
	r := newRig(t)
	for i, team := range []string{"core", "edge"} {
		at := time.Now().Add(time.Duration(i-5) * time.Minute).UTC().Truncate(time.Millisecond)
		ledgertest.Write(t, r.books, ledgertest.Make("of-"+team, at, func(rec *ledger.Record) {
			rec.Organization, rec.Who.Team, rec.Asked.Request = "acme", team, "chosen-by-both"
		}))
	}
	for _, method := range []string{"UsageService/GetExchange", "UsageService/ExplainExchange"} {
		r.want(r.keys["member"], method, `{"id":"chosen-by-both"}`, 200, `"of-core"`)
		r.want(r.keys["member"], method, `{"id":"of-edge"}`, 404)
		r.want(r.keys["owner"], method, `{"id":"chosen-by-both"}`, 200, `"of-edge"`)
		r.want(root, method, `{"id":"chosen-by-both","organization":"acme"}`, 200, `"of-edge"`)
	}
}

func TestRecordsAreListedByPages(t *testing.T) {
	r := newRig(t)
	r.used()
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	c := adminv1connect.NewUsageServiceClient(&http.Client{Transport: &http.Transport{Protocols: p}}, r.url, connect.WithGRPC())
	ctx, info := connect.NewClientContext(context.Background())
	info.RequestHeader().Set("authorization", "Bearer "+root)
	for _, newest := range []bool{false, true} {
		var got []string
		q := &v1.ListRecordsRequest{Page: &v1.Page{Size: 2}, Filter: &v1.UsageFilter{}, Newest: newest}
		q.Filter.From, q.Filter.Until = timestamppb.New(ledgertest.Noon()), timestamppb.New(ledgertest.Noon().Add(time.Second))
		for {
			res, err := c.ListRecords(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range res.Records {
				got = append(got, fmt.Sprint(rec.Id, rec.Sequence))
			}
			if q.Page.Token = res.NextToken; res.NextToken == "" {
				break
			}
		}
		if want := map[bool]string{false: "[a0 a1 b0 d0 c0]", true: "[c0 d0 b0 a1 a0]"}[newest]; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

func TestWithoutALedgerThereIsNoUsage(t *testing.T) {
	h := httptest.NewServer(admin.New(admin.Options{Token: secret.New(root)}).Handler())
	defer h.Close()
	r := &rig{t: t, url: h.URL}
	for method, body := range map[string]string{"ReportUsage": `{}`, "ListRecords": `{}`, "GetExchange": `{"id":"a"}`, "ExplainExchange": `{"id":"a"}`} {
		r.want(root, "UsageService/"+method, body, 400, "failed_precondition", "there is no ledger")
	}
}

func TestALedgerThatIsAwayIsSaid(t *testing.T) {
	r := newRig(t)
	if err := r.books.Close(); err != nil {
		t.Fatal(err)
	}
	r.want(root, "UsageService/ReportUsage", `{}`, 503, "the ledger does not answer")
	if !strings.Contains(r.logs.String(), "closed") {
		t.Errorf("the log says %s", r.logs)
	}
}

// busy is a ledger in which nothing is found in time.
type busy struct{ admin.Ledger }

func (busy) Find(context.Context, string, string, string) ([]*ledger.Record, error) {
	return nil, fmt.Errorf("looking: %w", book.ErrTooMany)
}

func TestTooManyRecordsToLookThroughAreNoLedgerThatIsAway(t *testing.T) {
	h := httptest.NewServer(admin.New(admin.Options{Token: secret.New(root), Ledger: busy{}}).Handler())
	defer h.Close()
	r := &rig{t: t, url: h.URL}
	for _, method := range []string{"GetExchange", "ExplainExchange"} {
		r.want(root, "UsageService/"+method, `{"id":"0198c1d2-0000-7000-8000-000000000000"}`, 504, `"code":"deadline_exceeded"`, "usage records has the ledger's own ids")
	}
}

func TestChangesAreFound(t *testing.T) {
	r := newRig(t)
	r.want(root, "TeamService/CreateTeam", `{"name":"new","organization":"acme"}`, 200)
	r.want(root, "TeamService/UpdateTeam", `{"name":"new","title":"New"}`, 200)
	r.want(root, "AuditService/ListChanges", `{"actor":"admin-token","action":"update"}`, 200, `New\"`)
	if _, text := r.ask(root, "AuditService/ListChanges", `{"actor":"admin-token"}`); strings.Count(text, `"seq"`) != 2 {
		t.Errorf("got %s", text)
	}
	if _, text := r.ask(root, "AuditService/ListChanges", `{"from":"2999-01-01T00:00:00Z"}`); strings.Contains(text, `"seq"`) {
		t.Errorf("got %s", text)
	}
	r.want(r.keys["owner"], "AuditService/ListChanges", `{"actor":"admin-token"}`, 400, `"field":"object"`)
}

// double prices every attempt at 25 millions of nano-USD.
func double(time.Time, *ledger.Attempt, cost.Units) (rerate.Price, bool) {
	return rerate.Price{Bill: cost.Bill{Nano: 25_000_000, List: 25_000_000}, Card: "new", Version: "2026-09-01"}, true
}

func TestThePastIsPricedAnewByTheAdministrator(t *testing.T) {
	r := newRig(t)
	r.used()
	for _, role := range []string{"owner", "billing", "admin"} {
		r.want(r.keys[role], "UsageService/RerateUsage", `{`+august+`,"apply":true}`, 403)
	}
	r.want(root, "UsageService/RerateUsage", `{`+august+`}`, 200, `"exchanges":"4"`, `"corrected":"4"`, `"wasNanoUsd":"62500000"`, `"isNanoUsd":"100000000"`)
	r.want(root, "UsageService/RerateUsage", `{`+august+`,"apply":true}`, 200, `"corrected":"4"`)
	r.want(root, "UsageService/ReportUsage", `{`+august+`}`, 200, `"costNanoUsd":"100000000"`)
	if text := r.want(root, "UsageService/RerateUsage", `{`+august+`,"apply":true}`, 200); strings.Contains(text, "corrected") {
		t.Errorf("a second time: %s", text)
	}
	text := r.want(root, "AuditService/ListChanges", `{"kind":"ledger"}`, 200, `"action":"rerate"`, `2026-08-01T00:00:00Z`, `0.0625`)
	if strings.Count(text, `"seq"`) != 1 {
		t.Errorf("the log has %s", text)
	}
}

func TestUsageIsForecast(t *testing.T) {
	r := newRig(t)
	r.used()
	at := `"at":"2026-08-20T18:00:00Z"`
	r.want(root, "UsageService/ForecastUsage", `{`+at+`,"by":["team"],"limit":"20000000"}`, 200, `"group":["edge"]`, `"used":"12500000"`, `"p90"`, `"reached"`, `"linear":true`)
	if text := r.want(r.keys["member"], "UsageService/ForecastUsage", `{`+at+`,"by":["team"],"unit":"requests","per":"day","zone":"Europe/Berlin"}`, 200, `"group":["core"]`, `"used":"2"`); strings.Contains(text, "edge") {
		t.Errorf("got %s", text)
	}
	for body, field := range map[string]string{
		`{"per":"year"}`: "per", `{"unit":"cows"}`: "unit", `{"zone":"Europe/Atlantis"}`: "zone", `{"by":["team","dreams"]}`: "by[1]", `{"limit":"-1"}`: "limit", `{"where":[{"dimension":"dreams","values":["a"]}]}`: "where[0]",
	} {
		r.want(root, "UsageService/ForecastUsage", body, 400, `"field":"`+field+`"`)
	}
}
