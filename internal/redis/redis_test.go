package redis

import (
	"strings"
	"testing"
)

func TestWhatIsNoAddress(t *testing.T) {
	for in, want := range map[string]string{
		"redis://h": "", "redis://h:1": "", "redis://h:1/3": "", "rediss://u@h": "", "redis://[::1]:6379": "", "redis://[::1]": "",
		"redis+cluster://a,b:7000": "", "rediss+cluster://u@a": "", "redis+sentinel://a,b/main": "", "redis+sentinel://a/main/2": "", "redis+unix:///run/redis.sock": "",
		"": "is redis://", "h:1": "is redis://", "http://h": "is redis://", "redis+x://h": "is redis://", "redis://": "HOST", "redis://h:0": "HOST", "redis://h:99999": "HOST",
		"redis://a,b": "several", "redis://u:p@h": "password", "redis://@h": "user", "redis://h/x": "number", "redis://h?x=1": "query",
		"redis+cluster://a/1": "databases", "redis+sentinel://a": "master", "redis+unix://x": "Unix", "rediss+unix:///x": "Unix",
	} {
		err := CheckURL(in)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", in, err, want)
		}
	}
}
