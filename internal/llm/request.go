package llm

// Op is the operation that a request asks for. The request path decides it.
type Op uint8

// Operations.
const (
	OpUnknown Op = iota
	OpChat
	OpModels // list models, or describe one
)

var opNames = [...]string{OpUnknown: "unknown", OpChat: "chat", OpModels: "models"}

// String returns the name used in logs and metrics.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return "unknown"
}

// Request is one request of a client, in neutral words.
type Request struct {
	Op     Op
	Model  string // as the client named it; routing resolves it
	Stream bool
	Usage  bool // the client wants usage in its stream (openai-chat: stream_options.include_usage)
	Body   Body
	Extra  Extra // members that the dialect read and the vocabulary has no word for
}

// Chat returns the body as a chat, or nil when the request is of another operation.
func (r *Request) Chat() *Chat {
	c, _ := r.Body.(*Chat)
	return c
}

// Body is the content of a request: one type per Op.
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
