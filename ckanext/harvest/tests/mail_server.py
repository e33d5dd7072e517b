"""A mail server on this machine: it keeps what it is given, and can fail in all the ways in which they do."""

from __future__ import annotations

import email
import email.policy
import socketserver
from email.message import EmailMessage

from ckanext.harvest.tests.loopback import Loopback


class Session(socketserver.StreamRequestHandler):
    """One conversation with a client."""

    server: MailServer

    def handle(self) -> None:
        self.server.connections += 1
        if self.server.fails == "hangs":
            self.server.stopping.wait(60)
            return
        self._say("220 mail.example")
        to = ""
        while line := self.rfile.readline().decode().strip():
            command, _, argument = line.partition(" ")
            if command.upper() == "RCPT":
                to = argument.partition("<")[2].partition(">")[0]
            if command.upper() == "RCPT" and self.server.fails == "breaks before":
                return
            if command.upper() == "RCPT" and to in self.server.unknown:
                self._say("550 no such mailbox")
            elif command.upper() == "DATA":
                if not self._data(to):
                    return
            elif command.upper() == "QUIT":
                if self.server.fails == "hangs at the end":
                    self.server.stopping.wait(60)
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _data(self, to: str) -> bool:
        """Take a mail; False if the conversation is over."""
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        if self.server.fails == "full":
            self._say("452 no space left")
            return True
        message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.server.mails.append((to, str(message["Subject"]), message.get_content()))
        if self.server.fails == "hangs after":
            self.server.stopping.wait(60)
        if self.server.fails in ("breaks after", "hangs after"):
            return False
        self._say("250 taken")
        return True

    def _say(self, answer: str) -> None:
        self.wfile.write(f"{answer}\r\n".encode())


class MailServer(Loopback, socketserver.ThreadingTCPServer):
    """Listens on a free port of the loopback interface while it is used as a context manager.

    ``mails`` are (recipient, subject, text) of what it took; ``fails`` says how it fails; ``unknown`` are addresses
    that it refuses.
    """

    def __init__(self) -> None:
        super().__init__(Session)
        self.mails: list[tuple[str, str, str]] = []
        self.connections = 0
        self.fails: str | None = None
        self.unknown: set[str] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"
