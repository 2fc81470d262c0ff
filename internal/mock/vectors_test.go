package mock

import (
	"encoding/base64"
	"encoding/binary"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// ask posts a body and returns the status and the answer.
func ask(t *testing.T, url, body string) (int, []byte) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

// floats reads a vector of an answer, packed or not.
func floats(t *testing.T, raw []byte) (out []float64) {
	t.Helper()
	if s, ok := jsonx.String(raw); ok {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		for ; len(b) > 0; b = b[4:] {
			out = append(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		}
		return out
	}
	for _, e := range jsonx.Elements(raw) {
		f, _ := jsonx.Float(e)
		out = append(out, f)
	}
	return out
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func TestEmbeddings(t *testing.T) {
	_, url := serve(t, Options{Seed: 1})
	_, plain := ask(t, url+"/v1/embeddings", `{"model":"text","input":["the red cat","the red dog","money markets fell"],"dimensions":64}`)
	_, packed := ask(t, url+"/v1/embeddings", `{"model":"text","input":["the red cat","the red dog","money markets fell"],"dimensions":64,"encoding_format":"base64"}`)
	var v [3][]float64
	for i, d := range jsonx.Elements(jsonx.Get(plain, "data")) {
		v[i] = floats(t, jsonx.Get(d, "embedding"))
		if n := math.Sqrt(dot(v[i], v[i])); len(v[i]) != 64 || math.Abs(n-1) > 1e-3 {
			t.Errorf("vector %d has %d dimensions and the length %f", i, len(v[i]), n)
		}
	}
	for i, d := range jsonx.Elements(jsonx.Get(packed, "data")) {
		if p := floats(t, jsonx.Get(d, "embedding")); math.Abs(dot(p, v[i])-1) > 1e-3 {
			t.Errorf("vector %d is another one when packed", i)
		}
	}
	if near, far := dot(v[0], v[1]), dot(v[0], v[2]); near <= far {
		t.Errorf("texts that share words are at %f, others at %f", near, far)
	}
	if n, _ := jsonx.Int(jsonx.At(plain, "usage", "prompt_tokens")); n != 9 {
		t.Errorf("prompt_tokens is %d", n)
	}
}

func TestRerank(t *testing.T) {
	_, url := serve(t, Options{Seed: 1})
	_, b := ask(t, url+"/v1/rerank", `{"model":"text","query":"red cat","documents":["a dog",{"text":"the red cat"},"a red dog"],"top_n":2}`)
	var order []int64
	for _, r := range jsonx.Elements(jsonx.Get(b, "results")) {
		i, _ := jsonx.Int(jsonx.Get(r, "index"))
		order = append(order, i)
	}
	if len(order) != 2 || order[0] != 1 || order[1] != 2 {
		t.Errorf("got %v in %s", order, b)
	}
}

func TestVectorsKeepTheScript(t *testing.T) {
	_, url := serve(t, Options{Seed: 1})
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/v1/embeddings", `{"model":"429","input":"x"}`, 429},
		{"/v1/rerank", `{"model":"fail-first:1:503+text","query":"x","documents":["y"]}`, 503},
		{"/v1/rerank", `{"model":"fail-first:1:503+text","query":"x","documents":["y"]}`, 200},
		{"/v1/embeddings", `{"model":"html","input":"x"}`, 502},
		{"/v1/embeddings", `{"model":"text"}`, 400},
		{"/v1/embeddings", `{"model":"text","input":[1]}`, 400},
		{"/v1/embeddings", `{"model":"text","input":"x","dimensions":0}`, 400},
		{"/v1/embeddings", `{"input":"x"}`, 400},
		{"/v1/embeddings", `{`, 400},
		{"/v1/rerank", `{"model":"text","documents":["y"]}`, 400},
		{"/v1/rerank", `{"model":"text","query":"x","documents":[]}`, 400},
	} {
		if status, b := ask(t, url+c.path, c.body); status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.path, c.body, status, b, c.status)
		}
	}
}
