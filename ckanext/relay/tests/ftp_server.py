"""A small FTP server on the loopback interface, with files in memory."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class FtpServer:
    """Serves ``files``, names without a slash in front; a name ending with a slash is a directory with a listing.

    :ivar passive_host: which address the server names for the data connection
    :ivar pause: seconds between the bytes of a file
    :ivar announced: size that is said, if another one than it is
    :ivar users: user → password; anybody, if empty
    """

    files: dict[str, bytes] = field(default_factory=dict)
    passive_host: str = "127.0.0.1"
    pause: float = 0
    announced: int | None = None
    users: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    greeting: str = "220 Hello"

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"ftp://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):  # wakes the thread that waits for connections; else one more would be taken
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        data: socket.socket | None = None
        user = ""
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            self._say(connection, self.greeting)
            for line in lines:
                command, _, argument = line.decode("latin-1").strip().partition(" ")
                self.commands.append(f"{command} {argument}".strip())
                if command == "USER":
                    user = argument
                    self._say(connection, "331 Password?")
                elif command == "PASS":
                    known = not self.users or self.users.get(user) == argument
                    self._say(connection, "230 Welcome" if known else "530 Not logged in")
                elif command == "TYPE":
                    self._say(connection, "200 Fine")
                elif command == "SIZE" and argument in self.files and not argument.endswith("/"):
                    self._say(connection, f"213 {self.announced or len(self.files[argument])}")
                elif command == "CWD" and argument.rstrip("/") + "/" in {*self.files, "./"}:
                    self._say(connection, "250 There")
                elif command == "PASV":
                    data = socket.create_server(("127.0.0.1", 0))
                    high, low = divmod(data.getsockname()[1], 256)
                    self._say(connection, f"227 ({self.passive_host.replace('.', ',')},{high},{low})")
                elif command in ("RETR", "LIST") and data and (command == "LIST" or argument in self.files):
                    self._send(connection, data, self.files.get(argument, b"-rw-r--r-- 1 a a 3 Jan 1 2020 x.csv\r\n"))
                else:
                    self._say(connection, "550 No such file")

    def _send(self, connection: socket.socket, listener: socket.socket, content: bytes) -> None:
        self._say(connection, "150 Here it comes")
        with listener, listener.accept()[0] as data:
            if not self.pause:
                data.sendall(content)
            for number in range(len(content) if self.pause else 0):
                data.sendall(content[number : number + 1])
                time.sleep(self.pause)
        self._say(connection, "226 Done")

    @staticmethod
    def _say(connection: socket.socket, line: str) -> None:
        connection.sendall(f"{line}\r\n".encode("latin-1"))
