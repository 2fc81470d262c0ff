"""Counts strings with the library of a vocabulary (PyPI tokenizers or sentencepiece): count.py VOCAB SAMPLES > COUNTS"""
import json
import sys

texts = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
if sys.argv[1].endswith(".json"):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(sys.argv[1])
    counts = [len(e.ids) for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
else:
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_file=sys.argv[1])
    counts = [len(processor.encode(text)) for text in texts]
print("\n".join(map(str, counts)))
