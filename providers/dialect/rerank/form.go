package rerank

// Names of the forms in which a client may ask, other than the usual one.
const (
	formVoyage = "voyage"
	formTEI    = "tei"
)

// Form is how a provider calls the members of a request. All its members have a name, but those that it lacks.
type Form struct {
	Name      string // "", "voyage" or "tei": the form of its clients
	Documents string
	TopN      string // "": it ranks all
	Return    string // the boolean member that asks for the documents in the answer; "": there is none
	Truncate  string // the boolean member that lets long documents be cut; "": there is none
	MaxTokens string // the member for the tokens of a document; "": there is none
	NoModel   bool   // it serves one model, and takes no name of it
	Objects   bool   // documents may be objects
}

// Jina is the usual form, of Jina AI (https://api.jina.ai/redoc) and of those that follow it: OpenRouter, Together,
// SiliconFlow, vLLM, Infinity and others.
func Jina() Form {
	return Form{Documents: "documents", TopN: "top_n", Return: "return_documents", Objects: true}
}

// LlamaCPP is the form of llama.cpp's server: as the usual one, for strings alone.
func LlamaCPP() Form { return Form{Documents: "documents", TopN: "top_n"} }

// Voyage is the form of Voyage AI (https://docs.voyageai.com/reference/reranker-api).
func Voyage() Form {
	return Form{Name: formVoyage, Documents: "documents", TopN: "top_k", Return: "return_documents", Truncate: "truncation"}
}

// TEI is the form of Text Embeddings Inference (https://huggingface.github.io/text-embeddings-inference).
func TEI() Form {
	return Form{Name: formTEI, Documents: "texts", Return: "return_text", Truncate: "truncate", NoModel: true}
}
