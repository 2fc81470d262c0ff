package asking_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/asking"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/form"
)

func fees(nv ...int64) (u cost.Units) {
	for i := 0; i < len(nv); i += 2 {
		u[nv[i]] = nv[i+1]
	}
	return u
}

func TestWish(t *testing.T) {
	const web, files = int64(price.WebSearch), int64(price.FileSearch)
	for _, c := range []struct {
		name, body string
		op         llm.Op
		n          int
		want       billing.Wish
	}{
		{"nothing", `{"model":"m","messages":[{"role":"user","content":"service_tier web_search"}]}`, llm.OpChat, 1, billing.Wish{}},
		{"tiers that leave it to the provider", `{"service_tier":"auto"}`, llm.OpChat, 1, billing.Wish{}},
		{"a tier", `{"service_tier":"Flex"}`, llm.OpChat, 1, billing.Wish{Service: "flex"}},
		{"what is no word", `{"service_tier":"a,size=4k|b"}`, llm.OpChat, 1, billing.Wish{}},
		{"Bedrock's tier and latency", `{"serviceTier":{"type":"priority"},"performanceConfig":{"latency":"optimized"}}`, llm.OpChat, 1, billing.Wish{Service: "priority", Switches: []string{"optimized"}}},
		{"Gemini's tier", `{"serviceTier":"flex"}`, llm.OpChat, 1, billing.Wish{Service: "flex"}},
		{"Anthropic's fast mode in the US", `{"speed":"fast","inference_geo":"us"}`, llm.OpChat, 1, billing.Wish{Switches: []string{"fast", "us"}}},
		{"Anthropic's usual speed anywhere", `{"speed":"standard","inference_geo":"global"}`, llm.OpChat, 1, billing.Wish{}},
		{"a function of the client's own", `{"tools":[{"type":"function","function":{"name":"web_search"}}]}`, llm.OpChat, 1, billing.Wish{}},
		{"Anthropic's searches", `{"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3},{"type":"web_fetch_20250910","name":"web_fetch","max_uses":2}]}`, llm.OpChat, 1, billing.Wish{Search: "medium", Turns: 5, Fees: fees(web, 3), Hosted: true}},
		{"Anthropic's searches without a bound", `{"tools":[{"type":"web_search_20250305","name":"web_search"}]}`, llm.OpChat, 1, billing.Wish{Search: "medium", Endless: "how often the provider runs the tool web_search_20250305", Loops: true, Hosted: true}},
		{"OpenAI's tools within one bound", `{"tools":[{"type":"web_search","search_context_size":"high"},{"type":"file_search","vector_store_ids":["v"]}],"max_tool_calls":4}`, llm.OpChat, 1, billing.Wish{Search: "high", Turns: 4, Fees: fees(web, 4, files, 4), Hosted: true}},
		{"OpenAI's tools without one", `{"tools":[{"type":"file_search","vector_store_ids":["v"]}]}`, llm.OpChat, 1, billing.Wish{Endless: "how often the provider runs the tool file_search", Loops: true, Hosted: true}},
		{"a tool whose cost nobody knows", `{"tools":[{"type":"code_interpreter","container":{"type":"auto"}}],"max_tool_calls":4}`, llm.OpChat, 1, billing.Wish{Endless: "what the provider's tool code_interpreter costs"}},
		{"searches of chat completions", `{"web_search_options":{"search_context_size":"low"}}`, llm.OpChat, 1, billing.Wish{Search: "low", Endless: "how often the provider searches the web for web_search_options"}},
		{"none of them", `{"web_search_options":null,"search_parameters":null,"mcp_servers":[]}`, llm.OpChat, 1, billing.Wish{}},
		{"xAI's sources", `{"search_parameters":{"mode":"auto"}}`, llm.OpChat, 1, billing.Wish{Endless: "how many sources the provider searches for search_parameters"}},
		{"Gemini's search", `{"tools":[{"google_search":{}}]}`, llm.OpChat, 1, billing.Wish{Endless: "how often the provider runs google_search", Hosted: true}},
		{"Gemini's code", `{"tools":[{"codeExecution":{}}]}`, llm.OpChat, 1, billing.Wish{Endless: "how often the provider runs codeExecution", Loops: true, Hosted: true}},
		{"Anthropic's servers of tools", `{"mcp_servers":[{"type":"url","url":"https://x"}]}`, llm.OpChat, 1, billing.Wish{Endless: "how often the provider runs the tools of mcp_servers", Loops: true}},
		{"images", `{"size":"1024x1024","quality":"HD"}`, llm.OpImage, 3, billing.Wish{Look: price.Look{Size: "1024x1024", Quality: "hd"}, Fees: fees(int64(price.PerImageOutput), 3)}},
		{"an image of which nothing is said", `{"prompt":"a cat"}`, llm.OpImage, 0, billing.Wish{Fees: fees(int64(price.PerImageOutput), 1)}},
		{"speech, by characters and not by bytes", `{"input":"h\u00e9llo 世界"}`, llm.OpSpeech, 1, billing.Wish{Fees: fees(int64(price.PerCharacter), 8)}},
		{"Cohere's images", `{"images":["a","b"],"inputs":[{"content":[{"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"image_url"}]}]}`, llm.OpEmbed, 1, billing.Wish{Fees: fees(int64(price.PerImage), 3)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, err := jsonx.Scan([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asking.Wish(c.op, &dialect.Head{Doc: doc, N: c.n}, true), c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

// wave makes a WAVE file of a format, channels, samples a second and bits of a sample, with so many bytes of sound.
func wave(kind, channels uint16, hertz uint32, bits uint16, sound int) []byte {
	b := []byte("RIFF\x00\x00\x00\x00WAVELIST\x03\x00\x00\x00abc\x00fmt \x10\x00\x00\x00")
	b = binary.LittleEndian.AppendUint16(b, kind)
	b = binary.LittleEndian.AppendUint16(b, channels)
	b = binary.LittleEndian.AppendUint32(b, hertz)
	b = binary.LittleEndian.AppendUint32(b, 1<<30) // bytes a second, which are wrong
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, bits)
	b = append(b, "data\x02\x00\x00\x00"...) // a length that is too small
	return append(b, make([]byte, sound)...)
}

func TestHowLongASoundIs(t *testing.T) {
	for _, c := range []struct {
		name string
		file []byte
		want int64
	}{
		{"two seconds", wave(1, 1, 8000, 16, 32_000), 2},
		{"a little more", wave(1, 2, 8000, 8, 32_001), 3},
		{"samples of 32 bits that are fractions", wave(3, 1, 100, 32, 400), 1},
		{"compressed", wave(2, 1, 8000, 4, 32_000), 0},
		{"no samples", wave(1, 1, 0, 16, 32_000), 0},
		{"another format", []byte("ID3\x03 an mp3"), 0},
		{"cut in its head", wave(1, 1, 8000, 16, 0)[:30], 0},
		{"nothing", nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n" + string(c.file) + "\r\n--b--\r\n"
			f, err := form.Scan("multipart/form-data; boundary=b", []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			w := asking.Wish(llm.OpTranscribe, &dialect.Head{Form: f}, false)
			if got := w.Fees[price.PerAudioSecond]; got != c.want {
				t.Errorf("got %d seconds, want %d", got, c.want)
			}
		})
	}
}

func TestAFormOfAnImage(t *testing.T) {
	body := strings.ReplaceAll("--b\nContent-Disposition: form-data; name=\"size\"\n\n512x512\n--b\nContent-Disposition: form-data; name=\"quality\"\n\nHigh\n--b--\n", "\n", "\r\n")
	f, err := form.Scan("multipart/form-data; boundary=b", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := billing.Wish{Look: price.Look{Size: "512x512", Quality: "high"}, Fees: fees(int64(price.PerImageOutput), 2)}
	if diff := cmp.Diff(asking.Wish(llm.OpImageEdit, &dialect.Head{Form: f, N: 2}, false), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

func BenchmarkWish(b *testing.B) {
	tool := `{"type":"function","function":{"name":"f","description":"` + strings.Repeat("what it does ", 40) + `","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}}`
	for name, tools := range map[string]string{"plain": `[` + tool + `]`, "20KiB": `[` + strings.Repeat(tool+",", 30) + tool + `]`} {
		b.Run(name, func(b *testing.B) {
			doc, err := jsonx.Scan([]byte(`{"model":"m","temperature":0.5,"max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hello"}],"tools":` + tools + `}`))
			if err != nil {
				b.Fatal(err)
			}
			h := &dialect.Head{Doc: doc}
			b.ReportAllocs()
			for b.Loop() {
				asking.Wish(llm.OpChat, h, true)
			}
		})
	}
}
