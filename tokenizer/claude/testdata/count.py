"""Counts the strings of a sample with ctok 1.3.0 (PyPI, Python 3.12 or later): count.py SAMPLES > COUNTS"""
import json
import sys

import ctok

for line in open(sys.argv[1], encoding="utf-8"):
    version, text = json.loads(line)
    print(ctok.token_count(text, version))
