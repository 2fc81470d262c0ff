package replay

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	chatLine  = `{"id":"aa","source":{"repo":"r","path":"p","index":1,"licence":"MIT"},"provider":"openai","endpoint":"chat","model":"gpt-x","stream":false,"request_method":"POST","request_path":"/v1/chat/completions?q=1","request_host":"h","request_headers":{"accept":"*/*"},"request_json":{"b": 1,"a":2},"response_status":200,"response_headers":{"x-request-id":"req_1","transfer-encoding":"chunked","content-encoding":"gzip"},"response_body_kind":"json","response_body":"{\"ok\": true}","fidelity":"raw","features":["tools"]}`
	sseLine   = `{"id":"bb","source":{},"provider":"anthropic","endpoint":"messages","model":"claude-x","stream":true,"request_path":"/v1/messages","request_json":null,"response_status":200,"response_headers":{},"response_body_kind":"sse","response_body":"event: a\ndata: 1\n\ndata: 2\r\n\r\n: c\n\ndata: [DONE]","fidelity":"raw","complete":true,"features":[]}`
	frameLine = `{"id":"cc","source":{},"provider":"bedrock","endpoint":"converse-stream","model":"m","stream":true,"request_path":"/model/m/converse-stream","request_json":{},"response_status":200,"response_headers":{},"response_body_kind":"eventstream-b64","response_body":"AAAABgECAAAABQM=","features":[]}`
	errLine   = `{"id":"dd","source":{},"provider":"openai","endpoint":"chat","model":null,"stream":false,"request_path":"/v1/chat/completions","request_json":{},"response_status":429,"response_headers":{"retry-after":"7"},"response_body_kind":"text","response_body":"slow down","features":[]}`
	ndLine    = `{"id":"ee","source":{},"provider":"ollama","endpoint":"api-chat","model":"l","stream":true,"request_path":"/api/chat","request_json":{},"response_status":200,"response_headers":{},"response_body_kind":"ndjson","response_body":"{}\n{\"a\":1}\n","features":[]}`
)

var allLines = strings.Join([]string{chatLine, sseLine, "", frameLine, errLine, ndLine}, "\n")

func TestReadKeepsRequestRawAndDecodesBodies(t *testing.T) {
	xs, err := Read(strings.NewReader(allLines))
	if err != nil {
		t.Fatal(err)
	}
	if len(xs) != 5 {
		t.Fatalf("got %d exchanges, want 5", len(xs))
	}
	if got, want := string(xs[0].RequestJSON), `{"b": 1,"a":2}`; got != want {
		t.Errorf("request: got %s, want %s", got, want)
	}
	if xs[1].HasRequest() || !xs[0].HasRequest() {
		t.Error("HasRequest: null counts as a request, or an object does not")
	}
	if xs[3].Model != nil || *xs[0].Model != "gpt-x" || xs[1].Complete == nil || !*xs[1].Complete || xs[0].Source.Index != 1 {
		t.Errorf("fields lost: %+v", xs)
	}
	frame, err := xs[2].Body()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]byte{0, 0, 0, 6, 1, 2, 0, 0, 0, 5, 3}, frame); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestLoadReadsPlainAndGzippedFilesAlike(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(allLines)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var all [][]*Exchange
	for name, data := range map[string][]byte{"a.jsonl": []byte(allLines), "a.jsonl.gz": packed.Bytes()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		xs, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, xs)
	}
	if diff := cmp.Diff(all[0], all[1]); diff != "" {
		t.Error(diff)
	}
	if _, err := Load(filepath.Join(dir, "none")); err == nil {
		t.Error("an absent file gave no error")
	}
}

func TestReadNamesTheLineAndTheMember(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"two records have one id": {chatLine + "\n\n" + chatLine, "line 3: id: \"aa\" is on line 1 too"},
		"no JSON":                 {chatLine + "\n{", "line 2: "},
		"no id":                   {`{"response_status":200}`, "line 1: id: "},
		"a slash in the id":       {`{"id":"a/b","response_status":200}`, "line 1: id: "},
		"no status":               {`{"id":"a"}`, "line 1: response_status: 0"},
		"broken base64":           {`{"id":"a","response_status":200,"response_body_kind":"x-b64","response_body":"*"}`, "line 1: response_body: "},
		"truncated gzip":          {"\x1f\x8b\x08", "gzip: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.in))
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %q…", err, c.want)
			}
		})
	}
}
