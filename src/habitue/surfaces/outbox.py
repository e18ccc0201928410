"""Where messages wait until they have gone out, and the ways out: a folder, SMTP, a webhook.

A batch is written to ``waiting/`` before anything of it leaves. What has left is noted beside it,
message by message; when all have, the notes alone are kept, in ``done/``. So a run that was broken
off goes on where it stopped. The one message whose leaving was not noted any more leaves again,
under the same id, by which whoever receives it can tell.
"""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol

import msgspec

from habitue.errors import BadSetting, MissingPiece, Unavailable
from habitue.facts import Shown
from habitue.surfaces.config import MessagesConfig
from habitue.surfaces.letters import Letter

__all__ = ["Message", "Outbox", "Port", "forget", "open_port"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A letter on its way, and the record of the slate in it."""

    id: str
    campaign: str
    shopper: str
    to: str
    letter: Letter
    unsubscribe: str
    shown: Shown


class Port(Protocol):
    """A way out. ``send`` returns why a message was refused for good, empty where it has left.

    It raises ``Unavailable`` where the same message may leave later.
    """

    def send(self, message: Message) -> str:
        """Let one message out."""
        ...


class _Folder:
    """Nothing leaves: the shop's own mailer takes the batches from ``done/``."""

    def send(self, message: Message) -> str:
        del message
        return ""


class _Smtp:
    """A mail server."""

    def __init__(self, config: MessagesConfig, server: smtplib.SMTP) -> None:
        self._config = config
        self._server = server

    def send(self, message: Message) -> str:
        try:
            self._server.send_message(_mail(message, self._config.sender))
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as problem:
            return _refusal(problem)
        except (ValueError, UnicodeError) as problem:
            return f"no address: {problem}"
        except (smtplib.SMTPException, OSError) as problem:
            raise Unavailable(
                f"The mail server does not take messages: {problem}.",
                remedy="Send the campaign again later; it goes on where it stopped.",
            ) from problem
        return ""


class _Webhook:
    """A service that is posted each message as JSON."""

    def __init__(self, post: Callable[[bytes, dict[str, str]], int]) -> None:
        self._post = post

    def send(self, message: Message) -> str:
        body = msgspec.json.encode(
            {
                "id": message.id,
                "campaign": message.campaign,
                "shopper": message.shopper,
                "to": message.to,
                "subject": message.letter.subject,
                "text": message.letter.text,
                "html": message.letter.html,
                "items": message.shown.items,
                "slate_id": message.shown.id,
                "unsubscribe": message.unsubscribe,
            }
        )
        status = self._post(
            body, {"content-type": "application/json", "idempotency-key": message.id}
        )
        if status in (408, 425, 429) or status >= 500:
            raise Unavailable(
                f"The webhook answers {status}.",
                remedy="Send the campaign again later; it goes on where it stopped.",
            )
        return "" if 200 <= status < 300 else f"the webhook answered {status}"


@contextmanager
def open_port(config: MessagesConfig) -> Iterator[Port]:
    """The way out that the settings name, open for as long as the block runs."""
    if config.channel == "outbox":
        yield _Folder()
    elif config.channel == "smtp":
        if not config.sender:
            raise BadSetting("messages.sender is empty.", remedy="Name who the mail is from.")
        server = _connected(config)
        try:
            yield _Smtp(config, server)
        finally:
            server.close()
    else:
        yield from _webhook(config)


def _webhook(config: MessagesConfig) -> Iterator[Port]:
    try:
        import httpx
    except ImportError:
        raise MissingPiece(
            "Webhooks need httpx.", remedy="Install it: pip install 'habitue[webhook]'."
        ) from None
    if not config.webhook_url:
        raise BadSetting("messages.webhook_url is empty.", remedy="Name where to post messages.")

    with httpx.Client(timeout=config.seconds) as client:

        def post(body: bytes, headers: dict[str, str]) -> int:
            try:
                return client.post(config.webhook_url, content=body, headers=headers).status_code
            except httpx.HTTPError as problem:
                raise Unavailable(
                    f"The webhook does not answer: {problem}.",
                    remedy="Send the campaign again later; it goes on where it stopped.",
                ) from problem

        yield _Webhook(post)


def _connected(config: MessagesConfig) -> smtplib.SMTP:
    try:
        if config.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                config.smtp_host,
                config.smtp_port,
                timeout=config.seconds,
                context=ssl.create_default_context(),
            )
        else:
            server = smtplib.SMTP(config.smtp_host, config.smtp_port, timeout=config.seconds)
            if config.smtp_security == "starttls":
                server.starttls(context=ssl.create_default_context())
        if config.smtp_user:
            server.login(config.smtp_user, config.smtp_password.get_secret_value())
    except (smtplib.SMTPException, OSError) as problem:
        raise Unavailable(
            f"The mail server {config.smtp_host}:{config.smtp_port} does not answer: {problem}.",
            remedy="Check messages.smtp_*, then send the campaign again.",
        ) from problem
    return server


def _mail(message: Message, sender: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = message.to
    mail["Subject"] = message.letter.subject
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.shown.at / 1000, UTC))
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2].rstrip('>') or 'habitue'}>"
    if message.unsubscribe:
        mail["List-Unsubscribe"] = f"<{message.unsubscribe}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(message.letter.text)
    if message.letter.html:
        mail.add_alternative(message.letter.html, subtype="html")
    return mail


def _refusal(problem: smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError) -> str:
    """Why a message was refused for good; raises ``Unavailable`` for a refusal of the moment."""
    if isinstance(problem, smtplib.SMTPDataError):
        code, said = problem.smtp_code, problem.smtp_error
    else:
        code, said = next(iter(problem.recipients.values()))
    text = f"{code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    if code < 500:
        raise Unavailable(
            f"The mail server does not take messages now: {text}.",
            remedy="Send the campaign again later; it goes on where it stopped.",
        )
    return text


class Outbox:
    """The folder of one campaign: batches that wait, and batches that are done."""

    def __init__(self, folder: Path) -> None:
        self._waiting = folder / "waiting"
        self._done = folder / "done"
        for one in (self._waiting, self._done):
            one.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, name: str, messages: Sequence[Message]) -> Path:
        """Write a batch down, durably, before anything of it leaves."""
        path = self._waiting / f"{name}.jsonl"
        fresh = path.with_suffix(".part")
        lines = b"\n".join(map(msgspec.json.encode, messages)) + b"\n"
        _write(fresh, lines)
        fresh.replace(path)
        _settle(self._waiting)
        return path

    def waiting(self) -> list[Path]:
        """The batches that have not all left, in order."""
        return sorted(self._waiting.glob("*.jsonl"))

    @staticmethod
    def read(path: Path) -> list[Message]:
        """The messages of a batch."""
        return [msgspec.json.decode(line, type=Message) for line in path.read_bytes().splitlines()]

    def deliver(self, path: Path, port: Port, messages: Sequence[Message]) -> tuple[int, int]:
        """Let out what has not left of a batch; how many left, and how many were refused."""
        noted = path.with_suffix(".noted")
        left = {line.split(b"\t")[0] for line in _lines(noted)}
        n_left = n_refused = 0
        if not isinstance(port, _Folder):
            with noted.open("ab") as notes:
                for message in messages:
                    if message.id.encode() in left:
                        continue
                    why = port.send(message)
                    n_refused += bool(why)
                    n_left += not why
                    notes.write(f"{message.id}\t{' '.join(why.split())}\n".encode())
                    notes.flush()
                    os.fsync(notes.fileno())
            path.unlink()  # what has left is not kept: it names people
        else:
            n_left = len(messages)
            path.replace(self._done / path.name)
        if noted.exists():
            noted.replace(self._done / noted.name)
        _settle(self._done)
        return n_left, n_refused


def forget(outbox: Path, shoppers: Collection[str]) -> int:
    """Take the messages to these shoppers out of every batch in the outbox; how many there were."""
    n_gone = 0
    for path in sorted(outbox.glob("*/*/*.jsonl")):
        messages = Outbox.read(path)
        kept = [one for one in messages if one.shopper not in shoppers]
        n_gone += len(messages) - len(kept)
        if len(kept) < len(messages):
            fresh = path.with_suffix(".part")
            _write(fresh, b"".join(msgspec.json.encode(one) + b"\n" for one in kept))
            fresh.replace(path)
            _settle(path.parent)
    return n_gone


def _lines(path: Path) -> list[bytes]:
    """The whole lines of a file; one that was broken off does not count."""
    if not path.exists():
        return []
    return path.read_bytes().split(b"\n")[:-1]


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _settle(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
