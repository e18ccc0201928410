"""A mail server and a webhook that keep what they are given, on a free port of this machine."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec


@dataclass
class MailSink:
    """What a mail server took; ``refuses`` answers a recipient with an SMTP status, or none."""

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    refuses: Callable[[str], str | None] = lambda _: None


@contextmanager
def mail_sink() -> Iterator[MailSink]:
    sink = MailSink()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 sink")
            while line := self.rfile.readline():
                command = line.strip().upper()
                if command.startswith(b"QUIT"):
                    self.say("221 bye")
                    return
                if command.startswith(b"RCPT"):
                    self.say(sink.refuses(line.decode()) or "250 ok")
                elif command == b"DATA":
                    self.say("354 go on")
                    lines = []
                    while (body := self.rfile.readline()) != b".\r\n":
                        lines.append(body[1:] if body.startswith(b"..") else body)
                    whole = message_from_bytes(b"".join(lines), policy=policy.default)
                    sink.taken.append(whole)
                    self.say("250 taken")
                else:
                    self.say("250 ok")

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as sink.port:
        yield sink


@dataclass
class WebhookSink:
    """What was posted; ``statuses`` are the next answers, then 200."""

    port: int = 0
    taken: list[dict[str, object]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@contextmanager
def webhook_sink() -> Iterator[WebhookSink]:
    sink = WebhookSink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = sink.statuses.pop(0) if sink.statuses else 200
            if status == 200:
                sink.taken.append(msgspec.json.decode(body))
                sink.keys.append(self.headers["idempotency-key"])
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as sink.port:
        yield sink


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
