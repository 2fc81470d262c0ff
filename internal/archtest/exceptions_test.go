package archtest

// exceptions are the places where a rule does not hold, and why. One that no longer covers anything fails.
var exceptions = []struct{ rule, where, why string }{
	{"exported names", "internal/llm", "the vocabulary: most of its names are the words of enumerations"},
	{"exported names", "providers/dialect", "the contract of codecs: more than a third of its names are the dialects' own"},
	{"package files", "routing/policy", "a file for each policy, whose manual page is the comment in it"},
	{"package files", "cmd/signalbox", "a file for each command and its kin: what a command does is in packages of its own"},
	{"names", "proto/signalbox/admin/v1", "the convention of protobuf in Go: the folder is the version, the package says of what"},
	{"names", "proto/signalbox/usage/v1", "the same"},
	{"init", "proto/signalbox/usage/v1", "the same as of admin/v1"},
	{"init", "proto/signalbox/admin/v1", "protoc-gen-go writes it: the descriptors of the messages"},
	{"function length", "internal/jsonx.scanner.value", "one loop over the containers of a body, without recursion; a call for each value would cost on every request"},
}
