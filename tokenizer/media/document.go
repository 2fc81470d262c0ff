package media

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// scanned bounds how much of a document is looked at for its pages.
const scanned = 8 << 20

var count = regexp.MustCompile(`/Type\s*/Pages\b[^>]{0,400}?/Count\s+(\d{1,5})|/Count\s+(\d{1,5})[^>]{0,400}?/Type\s*/Pages\b`)

// page is a page of a PDF that does not say how many it has.
var page = regexp.MustCompile(`/Type\s*/Page\b`)

// Pages returns the pages of a PDF in base64 by what its page tree says, and 0 where that cannot be seen, as where it
// is compressed.
func Pages(data string) int {
	b, err := io.ReadAll(io.LimitReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)), scanned))
	if err != nil && len(b) == 0 || !bytes.HasPrefix(b, []byte("%PDF-")) {
		return 0
	}
	most := 0
	for _, m := range count.FindAllSubmatch(b, -1) {
		n, _ := strconv.Atoi(string(m[1]) + string(m[2]))
		most = max(most, n)
	}
	return max(most, len(page.FindAllIndex(b, -1)))
}

// Seconds returns the length of a recording in base64 that is a WAV file, or a guess by its size for an MP3 of 128
// kbit/s. It is 0 where nothing is known.
func Seconds(data string) float64 {
	size := base64.StdEncoding.DecodedLen(len(data))
	b := Decoded(data)
	switch {
	case len(b) >= 44 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WAVE":
		if rate := binary.LittleEndian.Uint32(b[28:]); rate > 0 {
			return float64(size-44) / float64(rate)
		}
	case bytes.HasPrefix(b, []byte("ID3")), len(b) > 1 && b[0] == 0xff && b[1]&0xe0 == 0xe0:
		return float64(size) / 16000
	}
	return 0
}

// Document returns what a document costs, and a bound. Of unknown length it is taken to have few pages.
func (r Rule) Document(pages int) (best, upper int64) {
	const few, many = 1, 100
	if pages == 0 {
		return few * r.Page, many * r.Page
	}
	return int64(pages) * r.Page, int64(pages) * r.Page * 2
}

// Audio returns what a recording costs, and a bound.
func (r Rule) Audio(seconds float64) (best, upper int64) {
	const few, many = 30, 3600
	if seconds <= 0 {
		return few * r.Second, many * r.Second
	}
	n := int64(seconds+0.999) * r.Second
	return n, n + n/4
}
