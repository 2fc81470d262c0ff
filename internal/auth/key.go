package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
)

// A generated key is sb_<env>_<kid>_<secret>_<crc>: a fixed prefix that scanners of leaked secrets can look
// for, where the key is for, its public id, 256 random bits, and the CRC-32 of all that stands before the
// last underscore, so that a mistyped key is known as such without a look-up.
const (
	prefix    = "sb_"
	kidLen    = 12
	secretLen = 43 // 62^43 > 2^256
	crcLen    = 6  // 62^6 > 2^32
	maxEnv    = 16
	maxKey    = 512

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

var (
	errForm = errors.New("the key does not have the form sb_ENV_ID_SECRET_CHECKSUM; it was cut or mistyped")
	errCRC  = errors.New("the key's checksum is wrong; it was mistyped")
)

// Generate makes a new key. env is a word of at most 16 lower-case letters and digits, such as live or test.
func Generate(env string) (key string, err error) {
	if !usableEnv(env) {
		return "", fmt.Errorf("env must be 1 to %d lower-case letters and digits", maxEnv)
	}
	limit := new(big.Int).Lsh(big.NewInt(1), 256)
	secret, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return "", fmt.Errorf("generate a key: %w", err)
	}
	kid, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(int64(len(base62))), big.NewInt(kidLen), nil))
	if err != nil {
		return "", fmt.Errorf("generate a key's id: %w", err)
	}
	body := prefix + env + "_" + encode(kid, kidLen) + "_" + encode(secret, secretLen)
	return body + "_" + checksum(body), nil
}

// EnvOf returns the word in a key, or the beginning of one, that says where it is for; "": it is of another make.
func EnvOf(key string) string {
	parts := strings.Split(key, "_")
	if len(parts) < 3 || parts[0]+"_" != prefix || !usableEnv(parts[1]) {
		return ""
	}
	return parts[1]
}

// WellFormed reports what is wrong with a key by its looks alone: its length, its characters and, for a key
// that Generate made, its form and checksum. Keys of other makes have no form. The error does not show
// the key.
func WellFormed(key string) error {
	if err := usable(key); err != nil {
		return err
	}
	// A generated key whose prefix was mistyped still ends as one.
	if !strings.HasPrefix(key, prefix) && !endsAsGenerated(key) {
		return nil
	}
	parts := strings.Split(key, "_")
	if len(parts) != 5 || !strings.HasPrefix(key, prefix) || !usableEnv(parts[1]) || !endsAsGenerated(key) {
		return errForm
	}
	if body := key[:len(key)-crcLen-1]; key[len(key)-crcLen:] != checksum(body) {
		return errCRC
	}
	return nil
}

// usable reports what keeps a text from being a key of any make.
func usable(key string) error {
	if key == "" {
		return errors.New("the key is empty")
	}
	if len(key) > maxKey {
		return fmt.Errorf("the key is longer than %d bytes", maxKey)
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return fmt.Errorf("byte %d of the key is not a printable ASCII character", i+1)
		}
	}
	return nil
}

func usableEnv(env string) bool {
	if env == "" || len(env) > maxEnv {
		return false
	}
	return strings.Trim(env, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// endsAsGenerated reports whether the key ends in an id, a secret and a checksum.
func endsAsGenerated(key string) bool {
	for _, n := range []int{crcLen, secretLen, kidLen} {
		at := len(key) - n
		if at < 1 || key[at-1] != '_' || strings.Trim(key[at:], base62) != "" {
			return false
		}
		key = key[:at-1]
	}
	return true
}

func checksum(body string) string {
	return encode(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(body)))), crcLen)
}

// encode writes n in base62 with leading zeros. It uses n up.
func encode(n *big.Int, width int) string {
	b := make([]byte, width)
	base, digit := big.NewInt(int64(len(base62))), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		b[i] = base62[digit.Int64()]
	}
	return string(b)
}
