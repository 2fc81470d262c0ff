package llm

// Op is the operation that a request asks for. The request path decides it.
type Op uint8

// Operations.
const (
	OpUnknown Op = iota
	OpChat
	OpModels     // list models, or describe one
	OpComplete   // legacy completions: one prompt, no turns
	OpCount      // count the tokens of a chat request
	OpEmbed      // texts to vectors
	OpRerank     // order documents by relevance
	OpModerate   // class a text by policy
	OpImage      // make images from a prompt
	OpImageEdit  // change images
	OpImageVary  // make variations of an image
	OpSpeech     // text to audio
	OpTranscribe // audio to text
	OpTranslate  // audio to English text
	OpFiles      // a provider's file store
	OpBatches    // a provider's batch jobs
	OpRealtime   // a WebSocket session
	OpStored     // answers that a provider has stored
)

var opNames = [...]string{
	OpUnknown: "unknown", OpChat: "chat", OpModels: "models", OpComplete: "complete", OpCount: "count", OpEmbed: "embed", OpRerank: "rerank",
	OpModerate: "moderate", OpImage: "image", OpImageEdit: "image_edit", OpImageVary: "image_vary", OpSpeech: "speech", OpTranscribe: "transcribe", OpTranslate: "translate",
	OpFiles: "files", OpBatches: "batches", OpRealtime: "realtime", OpStored: "stored_answers",
}

// String returns the name used in logs and metrics.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return "unknown"
}

// Objects reports whether the operation is about objects that live at a provider, and not about a model.
func (o Op) Objects() bool { return o == OpFiles || o == OpBatches || o == OpStored }

// Draws reports whether the operation's answer is images.
func (o Op) Draws() bool { return o == OpImage || o == OpImageEdit || o == OpImageVary }

// Request is one request of a client, in neutral words.
type Request struct {
	Op     Op
	Model  string // as the client named it; routing resolves it
	Stream bool
	Usage  bool   // the client wants usage in its stream (openai-chat: stream_options.include_usage)
	Form   string // the form of the answer where the dialect has several, as gemini's "json-array" or rerank's "voyage"; "": the usual one
	Body   Body
	Extra  Extra  // members that the dialect read and the vocabulary has no word for
	Bound  string // a member of Extra that only a provider of the client's own dialect can honor, such as one that names stored state; "": none
}

// Chat returns the body as a chat, or nil when the request is of another operation.
func (r *Request) Chat() *Chat {
	c, _ := r.Body.(*Chat)
	return c
}

// Embed returns the body as texts to embed, or nil when the request is of another operation.
func (r *Request) Embed() *Embed {
	e, _ := r.Body.(*Embed)
	return e
}

// Rerank returns the body as documents to order, or nil when the request is of another operation.
func (r *Request) Rerank() *Rerank {
	e, _ := r.Body.(*Rerank)
	return e
}

// Body is the content of a request. OpChat, OpComplete and OpCount have a *Chat, OpEmbed has an *Embed, OpRerank
// a *Rerank.
type Body interface{ op() Op }

// Extra holds members without a word in the vocabulary, in their order. Only a writer of the same
// dialect may write them; every other writer records a loss for each.
type Extra struct {
	Dialect string // whose members these are
	Members []Member
}

// Member is one JSON member as it stood on the wire.
type Member struct {
	Name string
	Raw  []byte // the value's JSON text
}

// Loss is something of a request or an answer that the target cannot carry.
type Loss struct {
	Path string `json:"path"` // in the client's dialect, as "messages[2].content[0].cache_control"
	Why  string `json:"why"`
}
