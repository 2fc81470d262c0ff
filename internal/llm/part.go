package llm

// PartKind says which fields of a Part count.
type PartKind uint8

// Part kinds.
const (
	PartText    PartKind = iota
	PartImage            // Media
	PartAudio            // Media
	PartFile             // Media: a document
	PartThought          // Text is the reasoning, Seal its signature; a redacted thought has a Seal and no Text
	PartRefusal          // Text
	PartCall             // Call
	PartReply            // Reply
	PartNative           // Raw: a block of the dialect's own that the vocabulary has no word for
)

var partNames = [...]string{"text", "image", "audio", "file", "thought", "refusal", "call", "reply", "native"}

// String returns the kind's name, for messages and golden files.
func (k PartKind) String() string {
	if int(k) < len(partNames) {
		return partNames[k]
	}
	return "unknown"
}

// Part is a piece of a turn's content.
type Part struct {
	Kind  PartKind
	Text  string
	Media *Media
	Call  *ToolCall
	Reply *ToolReply
	Cache *CacheMark // a prompt-cache breakpoint behind this part
	Seal  string     // opaque signature that must return with a Thought or a Call
	From  string     // dialect or vendor that made Seal; a seal never goes to another
	Name  string     // of a native block: its type; of text in a tool's result: "json" where it is a JSON value
	Raw   []byte     // a native block whole, as received
	Extra []Member
}

// CacheMark asks the provider to keep the prompt's prefix up to here.
type CacheMark struct {
	TTL string // "5m", "1h"; "" is the provider's default
}

// Media is an image, a recording or a document: by value, by URL or by a provider's file id.
type Media struct {
	Type   string // media type such as "image/png"; "" when not known
	Data   string // standard base64, "" when by reference
	URL    string // https URL
	FileID string
	Name   string // file name or title
	Format string // audio format where the dialect names it so ("wav", "mp3")
	Detail string // OpenAI's "low", "high", "auto"
	Text   string // a plain-text document's content
	Extra  []Member
}

// ToolCall is a call that the model made.
type ToolCall struct {
	ID     string
	Name   string
	Args   string // JSON text of an object, as the model wrote it; may be empty or broken
	Native string // "" for a function call; FreeText for free text in Args
}

// ToolReply is the result of a call.
type ToolReply struct {
	CallID string
	Name   string // the function's name, where the dialect carries it
	Parts  []Part // text, images, documents
	Error  bool   // the tool failed
	Plain  bool   // the content was one string, not a list
}
