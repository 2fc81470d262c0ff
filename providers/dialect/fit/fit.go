// Package fit makes what another dialect wrote fit the rules of a stricter one: names and ids in a smaller alphabet,
// arguments that must be objects, schemas in a subset, media by what it is, and words that a client may see. The same
// input always gives the same output. It reads no dialect and writes none.
package fit

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// clean returns s with every character but letters, digits, _ and - replaced, and whether s fitted as it was.
func clean(s string, most int) (string, bool) {
	fits := len(s) > 0 && len(s) <= most
	b := []byte(s)
	for i, c := range b {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			b[i], fits = '_', false
		}
	}
	return string(b[:min(len(b), most)]), fits
}

// hashed marks a cleaned name with a hash of what it was, so that two names stay two.
func hashed(cleaned, was string, most int) string {
	h := fnv.New32a()
	h.Write([]byte(was))
	return fmt.Sprintf("%s_%08x", cleaned[:min(len(cleaned), most-9)], h.Sum32())
}

// Name returns a name of letters, digits, _ and -, no longer than most, for n: n itself where it is one, else always
// the same for the same n, and another for another n.
func Name(n string, most int) string {
	c, fits := clean(n, most)
	if fits {
		return n
	}
	return hashed(c, n, most)
}

// IDs returns what the ids of calls become, for those that are not of letters, digits, _ and -, or longer than most.
// Calls and their results agree, and ids that differ stay different.
func IDs(c *llm.Chat, most int) map[string]string {
	var dirty []string
	taken := make(map[string]bool)
	for i := range c.Turns {
		for j := range c.Turns[i].Parts {
			var id string
			switch p := &c.Turns[i].Parts[j]; p.Kind {
			case llm.PartCall:
				id = p.Call.ID
			case llm.PartReply:
				id = p.Reply.CallID
			default:
				continue
			}
			if _, fits := clean(id, most); fits {
				taken[id] = true
			} else if !slices.Contains(dirty, id) {
				dirty = append(dirty, id)
			}
		}
	}
	if len(dirty) == 0 {
		return nil
	}
	ids := make(map[string]string, len(dirty))
	for _, id := range dirty {
		c, _ := clean(id, most)
		if c == "" || len(id) > most || taken[c] {
			c = hashed(c, id, most)
		}
		taken[c] = true
		ids[id] = c
	}
	return ids
}
