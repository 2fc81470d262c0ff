package providers

import (
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/passing"
)

// Media are the endpoints of images and audio where a provider has all of OpenAI's.
func Media() []Endpoint { return append(Images(), Audio()...) }

// Images are the endpoints of images, as OpenAI has them.
func Images() []Endpoint {
	c := passing.Images()
	return []Endpoint{
		{Op: llm.OpImage, Codec: c, Path: "/images/generations"},
		{Op: llm.OpImageEdit, Codec: c, Path: "/images/edits"},
		{Op: llm.OpImageVary, Codec: c, Path: "/images/variations"},
	}
}

// Objects are the endpoints of files, batches and stored answers, as OpenAI has them.
func Objects() []Endpoint {
	c := passing.Files()
	return []Endpoint{{Op: llm.OpFiles, Codec: c}, {Op: llm.OpBatches, Codec: c}, Stored()}
}

// Stored is the endpoint of stored answers, as OpenAI has it.
func Stored() Endpoint { return Endpoint{Op: llm.OpStored, Codec: passing.Stored()} }

// Listing is the endpoint of the list of models, as OpenAI has it. Clients get the gateway's own list: this one is asked to
// learn whether the provider answers.
func Listing() Endpoint { return Endpoint{Op: llm.OpModels, Codec: passing.Listing(), Path: "/models"} }

// Realtime is the endpoint of sessions, as OpenAI has it.
func Realtime() []Endpoint {
	return []Endpoint{{Op: llm.OpRealtime, Codec: passing.Realtime(), Path: "/realtime"}}
}

// Moderations is the endpoint of moderation, as OpenAI has it.
func Moderations() []Endpoint {
	return []Endpoint{{Op: llm.OpModerate, Codec: passing.Moderations(), Path: "/moderations"}}
}

// Audio are the endpoints of speech and transcription, as OpenAI has them.
func Audio() []Endpoint {
	c := passing.Audio()
	return []Endpoint{
		{Op: llm.OpSpeech, Codec: c, Path: "/audio/speech"},
		{Op: llm.OpTranscribe, Codec: c, Path: "/audio/transcriptions"},
		{Op: llm.OpTranslate, Codec: c, Path: "/audio/translations"},
	}
}
