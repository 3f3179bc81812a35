"""A fake OpenAI-compatible server: queueable answers and faults, and a history of what it was asked."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
        raw = reply.raw()
        lines = [
            f"HTTP/1.1 {reply.status} X",
            "Content-Type: application/json",
            f"Content-Length: {len(raw)}",
        ]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        # Header and body in one go: two packets would cost 40 ms a call.
        handler.connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + raw)
