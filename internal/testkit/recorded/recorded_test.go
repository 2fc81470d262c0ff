package recorded

import (
	"io"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/replay"
)

func TestCuratedIsSmallFreeAndCovers(t *testing.T) {
	if len(curated) > 250_000 {
		t.Errorf("%d bytes", len(curated))
	}
	notice, err := os.ReadFile("testdata/NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	free := regexp.MustCompile(`^(MIT|Apache-2\.0|BSD-3-Clause OR Apache-2\.0)$`)
	kinds := make(map[string]int)
	for _, x := range Curated(t) {
		kinds[x.Endpoint+" "+x.BodyKind]++
		if !free.MatchString(x.Source.Licence) {
			t.Errorf("%s: licence %q", x.ID, x.Source.Licence)
		}
		if !strings.Contains(string(notice), x.ID) || !strings.Contains(string(notice), "https://github.com/"+x.Source.Repo+"  "+x.Source.Licence+"\n") {
			t.Errorf("%s of %s is not in the NOTICE", x.ID, x.Source.Repo)
		}
	}
	for _, kind := range []string{
		"responses json", "responses sse", "converse json", "converse-stream eventstream-b64", "invoke json", "invoke-with-response-stream eventstream-b64",
		"rawPredict json", "streamRawPredict sse", "generateContent json", "streamGenerateContent sse", "streamGenerateContent json", "chat-native json", "chat-native sse",
		"api-chat json", "api-chat ndjson", "completions json", "completions sse", "embeddings json", "embed json", "batchEmbedContents json", "rerank json",
		"count-tokens json", "countTokens json", "responses-input-tokens json",
	} {
		if kinds[kind] == 0 {
			t.Errorf("there is no record of %s", kind)
		}
	}
	for _, kind := range []string{"chat json", "chat sse", "messages json", "messages sse"} {
		if kinds[kind] < 5 {
			t.Errorf("%d of %s", kinds[kind], kind)
		}
	}
}

func TestCuratedIsPartOfTheWhole(t *testing.T) {
	if _, err := os.Stat(Path(t, "recorded")); err != nil && os.Getenv(EnvRequire) != "1" {
		t.Skip("the recorded traffic is not present")
	}
	whole := make(map[string]*Exchange)
	for _, x := range All(t) {
		whole[x.ID] = x
	}
	for _, x := range Curated(t) {
		if diff := cmp.Diff(whole[x.ID], x); diff != "" {
			t.Errorf("%s differs:\n%s", x.ID, diff)
		}
	}
}

func TestAbsentDataGivesTheCuratedPart(t *testing.T) {
	t.Setenv(EnvRequire, "")
	t.Setenv(EnvData, t.TempDir())
	if diff := cmp.Diff(Curated(t), All(t)); diff != "" {
		t.Error(diff)
	}
	ran := 0
	Each(t, func(x *Exchange) bool { return x.Endpoint == "messages" }, func(*testing.T, *Exchange) { ran++ })
	if ran == 0 {
		t.Error("no subtest ran")
	}
}

func TestEveryRecordIsServedAsItIs(t *testing.T) {
	all := All(t)
	srv := httptest.NewServer(replay.Handler(all, replay.Options{}))
	defer srv.Close()
	Each(t, nil, func(t *testing.T, x *Exchange) {
		want, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.Client().Post(srv.URL+"/v1/x", "application/json", strings.NewReader(`{"model":"`+x.ID+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != x.Status || string(got) != string(want) {
			t.Errorf("got %d and %d bytes, want %d and %d", resp.StatusCode, len(got), x.Status, len(want))
		}
		if x.HasRequest() && jsonx.Valid(x.RequestJSON) != nil {
			t.Errorf("the request is no valid JSON: %v", jsonx.Valid(x.RequestJSON))
		}
		if x.BodyKind == "json" && jsonx.Valid(want) != nil && x.ResponseHeaders["content-type"] == "" {
			t.Errorf("the body is no valid JSON: %v", jsonx.Valid(want))
		}
	})
}
