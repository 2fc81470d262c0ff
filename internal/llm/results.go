package llm

// Embed is texts to turn into vectors: the body of OpEmbed.
type Embed struct {
	Inputs     []EmbedInput
	Single     bool   // the client gave one input that was no list
	Dimensions int64  // length of the vectors; 0: not said
	Base64     bool   // vectors are wanted as base64 of little-endian float32
	Task       string // what the vectors are for, one of the tasks below; "": not said
	Title      string // of the document, for TaskDocument
	Truncate   string // what to do with a text that is too long: "none", "start", "end"; "": not said
	User       string // end user's id
}

func (*Embed) op() Op { return OpEmbed }

// Tasks of embeddings.
const (
	TaskQuery      = "query"
	TaskDocument   = "document"
	TaskSimilarity = "similarity"
	TaskClassify   = "classification"
	TaskCluster    = "clustering"
	TaskQuestion   = "question_answering"
	TaskFact       = "fact_verification"
	TaskCode       = "code_query"
)

// EmbedInput is one text, or its tokens, or an image.
type EmbedInput struct {
	Text   string
	Tokens []int64 // in the vocabulary of the model; nil: Text counts
	Media  *Media  // nil: no image
}

// Rerank is documents to order by their relevance to a query: the body of OpRerank.
type Rerank struct {
	Query     string
	Documents []Document
	TopN      int64 // how many to return; 0: all
	Return    bool  // documents are wanted in the answer
	MaxTokens int64 // of a document; 0: not said
	Truncate  *bool // cut documents that are too long, in place of an error; nil: not said
}

func (*Rerank) op() Op { return OpRerank }

// Document is a text to rank.
type Document struct {
	Text string
	Raw  []byte // a structured document as received, a JSON object; nil: it was a string
}

// Result is the answer of an operation that is no conversation: *Embeddings or *Ranking.
type Result interface{ result() }

// Embeddings are vectors in the order of the inputs.
type Embeddings struct {
	Vectors [][]float32
}

func (*Embeddings) result() {}

// Ranking is documents, the most relevant first.
type Ranking struct {
	Items []Ranked
}

func (*Ranking) result() {}

// Ranked is one document of a ranking.
type Ranked struct {
	Index    int     // of the document in the request
	Score    float64 // a larger one is more relevant; the scale is the model's own
	Document []byte  // JSON as received, where the provider returns it; nil: it does not
}
