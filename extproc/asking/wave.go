package asking

import "encoding/binary"

// seconds returns the length of a sound in whole seconds, rounded up, where its file says it for sure: a WAVE file of
// samples as they are (http://soundfile.sapp.org/doc/WaveFormat). Other formats have no length that their size bounds.
func seconds(file []byte) (int64, bool) {
	const riff, samples, floats = 12, 1, 3
	if len(file) < riff || string(file[:4]) != "RIFF" || string(file[8:riff]) != "WAVE" {
		return 0, false
	}
	var rate int64 // bytes a second, by the samples: what the file says of it may be wrong
	for at := riff; at+8 <= len(file); {
		kind, size := string(file[at:at+4]), int64(binary.LittleEndian.Uint32(file[at+4:]))
		body := file[at+8:]
		switch kind {
		case "fmt ":
			const least = 16
			if size < least || len(body) < least || rate != 0 {
				return 0, false
			}
			form, channels, hertz, bits := binary.LittleEndian.Uint16(body), int64(binary.LittleEndian.Uint16(body[2:])), int64(binary.LittleEndian.Uint32(body[4:])), int64(binary.LittleEndian.Uint16(body[14:]))
			if form != samples && form != floats || channels == 0 || hertz == 0 || bits == 0 || bits%8 != 0 {
				return 0, false
			}
			rate = hertz * channels * (bits / 8)
		case "data":
			if rate == 0 {
				return 0, false
			}
			return (int64(len(body)) + rate - 1) / rate, true // all that is left: a length of its own may be too small
		}
		at += 8 + int(min(size+size%2, int64(len(file))))
	}
	return 0, false
}
