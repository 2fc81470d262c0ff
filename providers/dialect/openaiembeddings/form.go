package openaiembeddings

import (
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Form is what a vendor calls otherwise than OpenAI does. The zero value is OpenAI's own.
type Form struct {
	Dimensions  string // the member for the length of vectors; "": dimensions
	Encoding    string // the member that asks for base64; "": encoding_format
	OnlyBase64  bool   // Encoding takes "base64" and no other word
	Task        string // the member that says what vectors are for; "": there is none
	TaskDefault string // the vendor's word where the client does not say; "": the member may be missing
	Tasks       []Task // the vendor's words, the preferred one for a task first
	Truncate    string // the boolean member that lets long texts be cut; "": there is none
	TruncateEnd bool   // Truncate is a word, "NONE", "START" or "END"
	NoTokens    bool   // inputs are text; tokens are refused
	Images      bool   // inputs may be {"image": …}
	NoUser      bool   // refuses user
	Rewrite     bool   // answers lack what OpenAI's clients need
}

// Task is a vendor's word for a task of llm.
type Task struct{ Task, Word string }

func (f *Form) plain() bool {
	return f.Dimensions == "" && f.Encoding == "" && !f.OnlyBase64 && f.Task == "" && f.Truncate == "" && !f.NoUser && !f.NoTokens
}

// word returns the vendor's word for a task, or "".
func (f *Form) word(task string) string {
	for _, t := range f.Tasks {
		if t.Task == task {
			return t.Word
		}
	}
	return ""
}

// Voyage is the form of Voyage AI (https://docs.voyageai.com/reference/embeddings-api). Its usage has a total alone.
func Voyage() Form {
	return Form{
		Dimensions: "output_dimension", OnlyBase64: true, Task: "input_type", Truncate: "truncation", NoTokens: true, NoUser: true, Rewrite: true,
		Tasks: []Task{{llm.TaskQuery, "query"}, {llm.TaskDocument, "document"}, {llm.TaskQuestion, "query"}, {llm.TaskFact, "query"}, {llm.TaskCode, "query"}},
	}
}

// Jina is the form of Jina AI (https://api.jina.ai/redoc).
func Jina() Form {
	return Form{
		Encoding: "embedding_type", Task: "task", Truncate: "truncate", NoTokens: true, Images: true, NoUser: true,
		Tasks: []Task{
			{llm.TaskQuery, "retrieval.query"}, {llm.TaskDocument, "retrieval.passage"}, {llm.TaskSimilarity, "text-matching"}, {llm.TaskClassify, "classification"},
			{llm.TaskCluster, "separation"}, {llm.TaskQuestion, "retrieval.query"}, {llm.TaskFact, "retrieval.query"}, {llm.TaskCode, "code.query"},
		},
	}
}

// Mistral is the form of Mistral AI (https://docs.mistral.ai/api/#tag/embeddings).
func Mistral() Form {
	return Form{Dimensions: "output_dimension", NoTokens: true, NoUser: true}
}

// NVIDIA is the form of NVIDIA's NIM (https://docs.nvidia.com/nim/nemo-retriever/text-embedding). Its models of two
// sides refuse a request that does not say which.
func NVIDIA() Form {
	return Form{
		Task: "input_type", TaskDefault: "passage", Truncate: "truncate", TruncateEnd: true, NoTokens: true,
		Tasks: []Task{{llm.TaskQuery, "query"}, {llm.TaskDocument, "passage"}, {llm.TaskQuestion, "query"}, {llm.TaskFact, "query"}, {llm.TaskCode, "query"}},
	}
}

// readTask reads the words of vendors and of Cohere for what vectors are for, in whichever member they stand.
func readTask(word string) string {
	switch word {
	case "query", "search_query", "retrieval.query", "RETRIEVAL_QUERY":
		return llm.TaskQuery
	case "document", "passage", "search_document", "retrieval.passage", "RETRIEVAL_DOCUMENT":
		return llm.TaskDocument
	case "text-matching", "SEMANTIC_SIMILARITY":
		return llm.TaskSimilarity
	case "classification", "CLASSIFICATION":
		return llm.TaskClassify
	case "clustering", "separation", "CLUSTERING":
		return llm.TaskCluster
	case "QUESTION_ANSWERING":
		return llm.TaskQuestion
	case "FACT_VERIFICATION":
		return llm.TaskFact
	case "code.query", "nl2code.query", "CODE_RETRIEVAL_QUERY":
		return llm.TaskCode
	}
	return ""
}

// neutral is the word by which the dialect's own form, which has no word for it, carries a task: readTask reads it.
func neutral(task string) string {
	switch task {
	case llm.TaskQuery:
		return "search_query"
	case llm.TaskDocument:
		return "search_document"
	case llm.TaskSimilarity:
		return "text-matching"
	case llm.TaskClassify:
		return "classification"
	case llm.TaskCluster:
		return "clustering"
	case llm.TaskQuestion:
		return "QUESTION_ANSWERING"
	case llm.TaskFact:
		return "FACT_VERIFICATION"
	}
	return "code.query"
}
