package mend

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// mostWhy bounds what a model is told of an error, in bytes: a schema of many branches has as many errors.
const mostWhy = 2 << 10

// Ask returns a request's body with two more turns: the answer that came, and what is wrong with it. A body in which they
// have no place is returned as it is, which asks again.
func Ask(d dialect.Name, body, said []byte, why string) []byte {
	if len(why) > mostWhy {
		why = why[:mostWhy] + " …"
	}
	ask := "Your answer does not have the form that was asked for: " + why + "\nAnswer again. Give the corrected JSON alone, with no text around it and no fences."
	switch d {
	case dialect.OpenAIChat, dialect.AnthropicMessages, dialect.Cohere:
		return turns(body, "messages", plain("assistant", said), plain("user", ask))
	case dialect.OpenAIResponses:
		return turns(body, "input", plain("assistant", said), plain("user", ask))
	case dialect.Gemini:
		return turns(body, "contents", parts("model", "parts", said), parts("user", "parts", ask))
	case dialect.BedrockConverse:
		return turns(body, "messages", parts("assistant", "content", said), parts("user", "content", ask))
	}
	return body
}

// plain is a turn whose content is a string.
func plain[T string | []byte](role string, text T) []byte {
	b := jsonx.AppendText([]byte{'{'}, "role", role)
	return append(jsonx.AppendQuote(append(b, `,"content":`...), text), '}')
}

// parts is a turn whose content is a list of parts.
func parts[T string | []byte](role, name string, text T) []byte {
	b := jsonx.AppendText([]byte{'{'}, "role", role)
	b = append(jsonx.AppendQuote(append(b, ','), name), `:[{"text":`...)
	return append(jsonx.AppendQuote(b, text), `}]}`...)
}

// turns puts turns behind those of a member of the body. A member that is one text is the first turn of the user's.
func turns(body []byte, name string, more ...[]byte) []byte {
	doc, err := jsonx.Scan(body)
	if err != nil {
		return body
	}
	old := bytes.TrimSpace(jsonx.Get(body, name))
	added := bytes.Join(more, []byte{','})
	var list []byte
	switch {
	case jsonx.Kind(old) == '"':
		text, _ := jsonx.String(old)
		list = append(append(append([]byte{'['}, plain("user", text)...), ','), added...)
	case jsonx.Kind(old) != '[':
		return body
	default:
		list = append(list, bytes.TrimRight(old[:len(old)-1], " \t\r\n")...)
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = append(list, added...)
	}
	return jsonx.Splice(nil, body, doc.Set(name, append(list, ']')))
}
