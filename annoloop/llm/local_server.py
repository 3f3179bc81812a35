"""The embedded server's own process: llama.cpp's OpenAI-compatible server on a random port of 127.0.0.1.

Run as a file by `annoloop.llm.local`, never imported: it needs xllamacpp and the standard library only.
First line of standard input: JSON with path, key, context. First line of standard output: JSON with address,
or with error. It ends when its standard input does, so also when the program that started it dies.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def _start(wanted: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = wanted["path"]
    params.model_alias = [wanted["name"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [wanted["key"]]
    params.n_ctx = wanted["context"]
    # One slot and one thread: the same text gets the same answer, and two contended threads are slower.
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.n_threads_http = 2
    params.cache_prompt = True
    params.cache_ram_mib = 0
    # Nobody else on this machine shall read the texts: no page, no list of what the slots hold.
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_props = False
    params.endpoint_metrics = False
    params.warmup = False
    return xllamacpp.Server(params)


def main() -> None:
    """Start the server, say where it listens, wait for the end of standard input."""
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    wanted = json.loads(sys.stdin.readline())
    try:
        server = _start(wanted)
        told = {"address": server.listening_address}
    except Exception as error:
        told = {"error": f"{type(error).__name__}: {error}"}
    report.write(json.dumps(told) + "\n")
    report.flush()
    if "address" in told:
        sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
