"""A fake OpenAI-compatible server: queueable answers and faults, and a history of what it was asked.

`python fake_llm.py` is one in a process of its own, which takes no time from whoever asks it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reply:
    """An HTTP reply: an answer by default, or any status with a body of its own."""

    content: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    finish: str = "stop"
    refusal: str | None = None
    body: bytes | None = None
    error: str = ""
    after: float = 0.0  # seconds before it is sent
    reset: bool = False  # the connection breaks instead
    usage: tuple[int, int] | None = (10, 5)

    def raw(self) -> bytes:
        if self.body is not None:
            return self.body
        if self.status >= 300:
            return json.dumps({"error": {"message": self.error or "fault"}}).encode()
        message = {"role": "assistant", "content": self.content, "refusal": self.refusal}
        reply: dict[str, Any] = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "fake",
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish}],
        }
        if self.usage:
            reply["usage"] = {"prompt_tokens": self.usage[0], "completion_tokens": self.usage[1]}
        return json.dumps(reply).encode()


RESET = Reply(reset=True)
Answering = Callable[[dict[str, Any]], "Reply | str"]


class FakeLLM:
    """`queue` is served first, in order; then `answer` makes a reply from the request's body."""

    def __init__(self, answer: Answering | str = "{}") -> None:
        self.answer: Answering = answer if callable(answer) else lambda _body: answer
        self.queue: deque[Reply | str] = deque()
        self.history: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> FakeLLM:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake._serve(self, body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def asked(self) -> list[str]:
        """The last user turn of every request."""
        return [body["messages"][-1]["content"] for body in self.history]

    def _serve(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self.history.append(body)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            reply = self.queue.popleft() if self.queue else self.answer(body)
        if isinstance(reply, str):
            reply = Reply(reply)
        time.sleep(reply.after)
        if reply.reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            handler.connection.close()
            return
        # Header and body in one go: two packets would cost 40 ms a call.
        handler.connection.sendall(_wire(reply))


FAULTS = ("429", "500", "reset", "hang", "malformed", "refusal")
PAID = ("ok", "malformed", "refusal")
"""What a server would charge for: answers, whatever they are worth."""
_RAW = {
    "429": Reply(status=429, headers={"Retry-After": "0.2"}),
    "500": Reply(status=500),
    "malformed": Reply('{"label": "GO'),
    "refusal": Reply(None, refusal="I cannot help with that."),
}


def digest(prompt: str) -> str:
    """What the log calls a prompt."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Drawn:
    """What a process of its own answers: the same to the same prompt asked for the same time.

    Faults are drawn by the seed, the prompt and how often it was asked, so that a repeat can succeed. Each
    line of `log` is one request that was decided on: when, the digests of all its turns and of the question
    that they began with, what became of it.
    """

    def __init__(self, answer: str, *, latency: float, faults: float, seed: int, log: Path | None) -> None:
        self.latency = latency
        self.faults = faults
        self.seed = seed
        self.log = log.open("a", buffering=1, encoding="utf-8") if log else None
        self.times: Counter[str] = Counter()
        self.turns = 0
        replies = {**_RAW, "ok": Reply(answer)}
        self.wire = {kind: _wire(reply) for kind, reply in replies.items()}

    def kind(self, body: bytes) -> tuple[dict[str, Any], str]:
        """What is logged of a request, and what becomes of it."""
        if self.log is None and not self.faults:
            return {}, "ok"
        turns = [turn["content"] for turn in json.loads(body)["messages"]]
        # The shortest is a question; whatever is longer asks again after an answer that was none.
        self.turns = min(self.turns or len(turns), len(turns))
        prompt = digest("\n\n".join(turns))
        self.times[prompt] += 1
        rng = random.Random(f"{self.seed} {prompt} {self.times[prompt]}")
        told = {"prompt": prompt, "question": digest("\n\n".join(turns[: self.turns]))}
        return told, rng.choice(FAULTS) if rng.random() < self.faults else "ok"

    def note(self, told: dict[str, Any], kind: str) -> None:
        """Write a line before the reply goes out, so that none is sent that is not in the log."""
        if self.log is not None:
            self.log.write(json.dumps({"at": time.time(), **told, "kind": kind}) + "\n")


class _Connection(asyncio.Protocol):
    """Just enough of HTTP/1.1 with keep-alive to cost next to nothing."""

    def __init__(self, drawn: Drawn) -> None:
        self.drawn = drawn
        self.received = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        # Without it every second call on a kept connection waits 40 ms for an acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, more: bytes) -> None:
        self.received += more
        head, found, rest = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(rest) < length:
            return
        self.received = rest[length:]
        told, kind = self.drawn.kind(rest[:length])
        asyncio.get_running_loop().call_later(self.drawn.latency, self.reply, told, kind)

    def reply(self, told: dict[str, Any], kind: str) -> None:
        gone = self.transport.is_closing()
        # Who has hung up is charged all the same.
        self.drawn.note(told, kind)
        if gone or kind == "hang":
            return
        if kind == "reset":
            self.transport.abort()
        else:
            self.transport.write(self.drawn.wire[kind])


def _wire(reply: Reply) -> bytes:
    raw = reply.raw()
    lines = [f"HTTP/1.1 {reply.status} X", "Content-Type: application/json", f"Content-Length: {len(raw)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


async def _serve(drawn: Drawn) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(drawn), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve in a process of its own until it is ended; the first line printed is the base URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--answer", default='{"label": "GOOD"}', help="what it says, as the message's content"
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before a reply")
    parser.add_argument("--faults", type=float, default=0.0, help=f"share of requests: {', '.join(FAULTS)}")
    parser.add_argument("--seed", type=int, default=0, help="draws the faults")
    parser.add_argument("--log", type=Path, help="a file to which a line for each request is added")
    asked = parser.parse_args()
    drawn = Drawn(asked.answer, latency=asked.latency, faults=asked.faults, seed=asked.seed, log=asked.log)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(drawn))


if __name__ == "__main__":
    main()
