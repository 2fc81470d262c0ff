package proof

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Prices of the provider in nano-USD for each token, and the most tokens of its answers.
const (
	inputPrice  = 1000
	outputPrice = 10_000
	longest     = 200
)

// bill is what the provider bills for a request.
type bill struct{ input, output int64 }

func (b bill) nano() int64 { return b.input*inputPrice + b.output*outputPrice }

// provider answers chats at random lengths within their caps, and keeps its own ledger: it bills every request whole,
// whoever leaves before the end.
type provider struct {
	url string

	mu    sync.Mutex
	bills map[string]bill // by the text of the prompt
	twice int             // requests whose prompt was there before
	open  int             // requests without a cap
}

func newProvider(t *testing.T) *provider {
	p := &provider{bills: map[string]bill{}}
	s := httptest.NewServer(p)
	p.url = s.URL
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return p
}

// ServeHTTP implements http.Handler.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var in struct {
		Max      int64 `json:"max_tokens"`
		MaxChat  int64 `json:"max_completion_tokens"`
		Stream   bool  `json:"stream"`
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	if err == nil {
		err = jsonx.Decode(body, &in)
	}
	if err != nil || len(in.Messages) == 0 {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	most := max(in.Max, in.MaxChat)
	b := bill{int64(len(strings.Fields(in.Messages[0].Content)) + 4), 1 + rand.Int64N(max(min(most, longest), 1))}
	p.mu.Lock()
	if most == 0 {
		p.open++
	}
	if _, ok := p.bills[in.Messages[0].Content]; ok {
		p.twice++
	}
	old := p.bills[in.Messages[0].Content]
	p.bills[in.Messages[0].Content] = bill{old.input + b.input, old.output + b.output}
	p.mu.Unlock()
	took := time.Duration(20+rand.N(280)) * time.Millisecond
	if rand.N(20) == 0 {
		took = 3 * time.Second
	}
	usage := fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, b.input, b.output, b.input+b.output)
	if in.Stream {
		stream(w, r, int(b.output), took, usage)
		return
	}
	if !pause(r, took) {
		return
	}
	w.Header().Set("content-type", "application/json")
	fmt.Fprintf(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":%s}`,
		strings.Repeat("word ", int(b.output)), usage)
}

// stream sends an answer in a few chunks.
func stream(w http.ResponseWriter, r *http.Request, tokens int, took time.Duration, usage string) {
	w.Header().Set("content-type", "text/event-stream")
	const chunks = 5
	for i := range chunks {
		if !pause(r, took/chunks) {
			return
		}
		n := tokens/chunks + min(1, max(0, tokens%chunks-i))
		fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":null}]}\n\n", strings.Repeat("word ", n))
		_ = http.NewResponseController(w).Flush()
	}
	fmt.Fprint(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n")
	fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":%s}\n\ndata: [DONE]\n\n", usage)
}

// pause reports whether the client is still there after a time.
func pause(r *http.Request, d time.Duration) bool {
	select {
	case <-r.Context().Done():
		return false
	case <-time.After(d):
		return true
	}
}

// of adds up the bills of an owner, whose prompts begin with its name.
func (p *provider) of(prefix string) (n int, sum bill) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for text, b := range p.bills {
		if strings.HasPrefix(text, prefix) {
			n++
			sum.input += b.input
			sum.output += b.output
		}
	}
	return n, sum
}
