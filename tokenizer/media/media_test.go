package media

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

// pictures are images of 30 by 20 pixels in the forms that are read.
func pictures(t *testing.T) map[string][]byte {
	t.Helper()
	img := image.NewPaletted(image.Rect(0, 0, 30, 20), color.Palette{color.Black, color.White})
	var p, j, g bytes.Buffer
	for _, err := range []error{png.Encode(&p, img), jpeg.Encode(&j, img, nil), gif.Encode(&g, img, nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	lossy := append([]byte("RIFF\x00\x00\x00\x00WEBPVP8 \x00\x00\x00\x00\x30\x01\x00\x9d\x01\x2a"), 30, 0, 20, 0)
	lossless := binary.LittleEndian.AppendUint32([]byte("RIFF\x00\x00\x00\x00WEBPVP8L\x00\x00\x00\x00\x2f"), 29|19<<14)
	extended := append([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00"), 29, 0, 0, 19, 0, 0)
	avif := []byte("\x00\x00\x00\x14ftypavif\x00\x00\x00\x00avif\x00\x00\x00\x14ispe\x00\x00\x00\x00\x00\x00\x00\x1e\x00\x00\x00\x14")
	thumb := append(bytes.Clone(avif), "\x00\x00\x00\x14ispe\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x02"...)
	exif := append([]byte("\xff\xd8\xff\xe1\x01\x02"), append(make([]byte, 256), j.Bytes()[2:]...)...)
	return map[string][]byte{
		"png": p.Bytes(), "jpeg": j.Bytes(), "jpeg behind exif": exif, "gif": g.Bytes(), "webp lossy": lossy, "webp lossless": lossless, "webp extended": extended,
		"avif": avif, "avif with a thumbnail": thumb,
	}
}

func TestTheSizeIsInTheFirstBytes(t *testing.T) {
	for name, b := range pictures(t) {
		if got := Measure(b); got != (Size{30, 20}) {
			t.Errorf("%s: got %v, want 30 by 20", name, got)
		}
		if got := Measure(Decoded(base64.StdEncoding.EncodeToString(b))); got != (Size{30, 20}) {
			t.Errorf("%s in base64: got %v, want 30 by 20", name, got)
		}
	}
}

func TestWhatIsCutHasNoWrongSize(t *testing.T) {
	for name, b := range pictures(t) {
		for n := range b {
			if got := Measure(b[:n]); got.Known() && got != (Size{30, 20}) {
				t.Errorf("%s cut at %d: %v", name, n, got)
			}
		}
	}
}

func TestImagesCostWhatProvidersReported(t *testing.T) {
	gpt4o := Rule{Tiles: Tiles{Base: 85, Tile: 170, Fit: 2048, Short: 768, Side: 512}, Most: 1445}
	claude := Rule{Patches: Patches{Side: 28, Factor: 1, More: 3}, Most: 5600}
	mini := Rule{Patches: Patches{Side: 32, Most: 1536, Factor: 1.62}, Most: 2489}
	for _, c := range []struct {
		name string
		rule Rule
		size Size
		low  bool
		want int64
	}{
		{"tiles", gpt4o, Size{640, 480}, false, 425},
		{"one tile", gpt4o, Size{100, 100}, false, 255},
		{"low detail", gpt4o, Size{640, 480}, true, 85},
		{"a large one is made smaller", gpt4o, Size{4096, 8192}, false, 85 + 6*170},
		{"patches", claude, Size{640, 480}, false, 23*18 + 3},
		{"patches with a factor", mini, Size{640, 480}, false, 486},
		{"no more patches than allowed", mini, Size{4000, 4000}, false, 2465},
		{"flat", Rule{Flat: 258, Most: 1548}, Size{9, 9}, false, 258},
	} {
		if got, upper := c.rule.Image(c.size, c.low); got != c.want || upper < got {
			t.Errorf("%s: got %d of at most %d, want %d", c.name, got, upper, c.want)
		}
	}
	if got, upper := gpt4o.Image(Size{}, false); got != 765 || upper != 1445 {
		t.Errorf("unknown size: got %d of at most %d, want 765 of 1445", got, upper)
	}
}

func TestPagesOfADocument(t *testing.T) {
	for _, c := range []struct {
		name, pdf string
		want      int
	}{
		{"a page tree", "%PDF-1.4\n1 0 obj<</Type/Pages/Kids[2 0 R]/Count 12>>endobj", 12},
		{"the count before the type", "%PDF-1.4\n<</Count 3 /Kids [] /Type /Pages>>", 3},
		{"pages alone", "%PDF-1.4\n<</Type /Page>> <</Type/Page /Parent 1 0 R>>", 2},
		{"compressed", "%PDF-1.7\nstream \x00\x01", 0},
		{"no PDF", "hello", 0},
	} {
		if got := Pages(base64.StdEncoding.EncodeToString([]byte(c.pdf))); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
	if got := Pages("%%%"); got != 0 {
		t.Errorf("no base64: got %d", got)
	}
}

func TestSecondsOfARecording(t *testing.T) {
	wav := "RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x00\x00\x00\x00" + strings.Repeat("\x00", 16000)
	if got := Seconds(base64.StdEncoding.EncodeToString([]byte(wav))); got < 1.99 || got > 2.01 {
		t.Errorf("got %v s, want 2", got)
	}
	if got := Seconds(""); got != 0 {
		t.Errorf("nothing: got %v s", got)
	}
}

func TestDocumentsAndRecordingsHaveABound(t *testing.T) {
	r := Rule{Page: 258, Second: 32}
	for _, c := range []struct {
		name        string
		best, upper int64
		min         int64
	}{
		{"four pages", first(r.Document(4)), second(r.Document(4)), 4 * 258},
		{"unknown pages", first(r.Document(0)), second(r.Document(0)), 258},
		{"two seconds", first(r.Audio(1.5)), second(r.Audio(1.5)), 64},
		{"unknown length", first(r.Audio(0)), second(r.Audio(0)), 32},
	} {
		if c.best < c.min || c.upper < c.best {
			t.Errorf("%s: %d of at most %d, want at least %d", c.name, c.best, c.upper, c.min)
		}
	}
}

func first(a, _ int64) int64  { return a }
func second(_, b int64) int64 { return b }

func FuzzMeasure(f *testing.F) {
	f.Add([]byte("\xff\xd8\xff\xe0\x00\x00"))
	f.Add([]byte("RIFF0000WEBPVP8 "))
	f.Add([]byte("0000ftypispe"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s := Measure(b); s.Width < 0 || s.Height < 0 || s.Width > 1<<20 || s.Height > 1<<20 {
			t.Errorf("size %v", s)
		}
		Pages(string(b))
		Seconds(string(b))
	})
}
