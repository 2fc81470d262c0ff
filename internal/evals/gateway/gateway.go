// Package gateway asks models through a gateway by HTTP, in OpenAI's chat form. It measures from the client's side, and
// keeps nothing of what is said.
package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/evals"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

// Price says what an answer cost, in nano-USD; ok is false where no price is known.
type Price func(target string, a *evals.Answer) (nano int64, ok bool)

// Client is a gateway as its clients see it.
type Client struct {
	Base  string // with /v1
	Key   secret.Value
	HTTP  *http.Client // nil: the default
	Price Price        // nil: none is known
}

// mostAnswer bounds what is read of an answer, in bytes.
const mostAnswer = 64 << 20

// Ask sends a request.
func (c *Client) Ask(ctx context.Context, target string, body []byte) (evals.Answer, error) {
	var a evals.Answer
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.Base, "/")+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key := c.Key.Reveal(); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	began := time.Now()
	res, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return a, ctx.Err()
		}
		return a, &evals.Busy{Why: "the gateway cannot be reached: " + err.Error()}
	}
	defer res.Body.Close() // read to its end, or given up
	a.Exchange, a.Target = res.Header.Get("X-Request-Id"), res.Header.Get("X-Signalbox-Target")
	in := io.LimitReader(res.Body, mostAnswer)
	switch {
	case res.StatusCode != http.StatusOK:
		return a, refused(res, in)
	case strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream"):
		err = stream(&a, in, began)
	default:
		err = whole(&a, in)
	}
	a.Total = time.Since(began)
	if err != nil {
		return a, err
	}
	if c.Price != nil {
		a.Cost, a.Priced = c.Price(target, &a)
	}
	return a, nil
}

// refused makes the error of an answer that is none.
func refused(res *http.Response, in io.Reader) error {
	b, _ := io.ReadAll(io.LimitReader(in, 64<<10)) // as much as came
	why, _ := jsonx.String(jsonx.At(b, "error", "message"))
	if why == "" {
		why = strings.TrimSpace(string(b))
	}
	why = fmt.Sprintf("%d: %s", res.StatusCode, why)
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		if res.Header.Get("X-Should-Retry") == "false" {
			break
		}
		return &evals.Busy{Why: why, After: after(res.Header.Get("Retry-After"))}
	}
	return errors.New(why)
}

// after reads Retry-After in seconds (RFC 9110 §10.2.3), whole or not.
func after(s string) time.Duration {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n <= 0 || n > 86400 {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

// whole reads a document.
func whole(a *evals.Answer, in io.Reader) error {
	b, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if err := jsonx.Valid(b); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	message := jsonx.At(first(jsonx.Get(b, "choices")), "message")
	if message == nil {
		return errors.New("the answer has no message")
	}
	a.Text, _ = jsonx.String(jsonx.Get(message, "content"))
	for _, c := range jsonx.Elements(jsonx.Get(message, "tool_calls")) {
		name, _ := jsonx.String(jsonx.At(c, "function", "name"))
		arguments, _ := jsonx.String(jsonx.At(c, "function", "arguments"))
		a.Calls = append(a.Calls, evals.Call{Name: name, Arguments: arguments})
	}
	usage(a, jsonx.Get(b, "usage"))
	return nil
}

func first(list []byte) []byte {
	for _, e := range jsonx.Elements(list) {
		return e
	}
	return nil
}

func usage(a *evals.Answer, u []byte) {
	if u == nil || jsonx.IsNull(u) {
		return
	}
	a.Prompt, _ = jsonx.Int(jsonx.Get(u, "prompt_tokens"))
	a.Output, _ = jsonx.Int(jsonx.Get(u, "completion_tokens"))
	a.Cached, _ = jsonx.Int(jsonx.At(u, "prompt_tokens_details", "cached_tokens"))
}

// stream reads a stream of chunks.
func stream(a *evals.Answer, in io.Reader, began time.Time) error {
	var text strings.Builder
	var p sse.Parser
	ended := false
	each := func(ev *sse.Event) error {
		data := bytes.TrimSpace(ev.Data)
		if string(data) == "[DONE]" {
			ended = true
			return nil
		}
		if e := jsonx.Get(data, "error"); e != nil && !jsonx.IsNull(e) {
			why, _ := jsonx.String(jsonx.Get(e, "message"))
			return errors.New("the stream ends with an error: " + why)
		}
		usage(a, jsonx.Get(data, "usage"))
		delta := jsonx.Get(first(jsonx.Get(data, "choices")), "delta")
		s, _ := jsonx.String(jsonx.Get(delta, "content"))
		calls := jsonx.Get(delta, "tool_calls")
		if a.First == 0 && (s != "" || calls != nil && !jsonx.IsNull(calls)) {
			a.First = time.Since(began)
		}
		text.WriteString(s)
		for _, c := range jsonx.Elements(calls) {
			add(a, c)
		}
		return nil
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := in.Read(buf)
		if e := p.Feed(buf[:n], err == io.EOF, each); e != nil {
			return e
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("the stream broke: %w", err)
		}
	}
	if a.Text = text.String(); !ended {
		return errors.New("the stream was cut")
	}
	return nil
}

// add takes a piece of a call.
func add(a *evals.Answer, c []byte) {
	i, _ := jsonx.Int(jsonx.Get(c, "index"))
	if i < 0 || i > 127 {
		return
	}
	for int64(len(a.Calls)) <= i {
		a.Calls = append(a.Calls, evals.Call{})
	}
	call := &a.Calls[i]
	name, _ := jsonx.String(jsonx.At(c, "function", "name"))
	arguments, _ := jsonx.String(jsonx.At(c, "function", "arguments"))
	call.Name += name
	call.Arguments += arguments
}
