"""Where a page listens, and who may see it."""

import ipaddress
import re
import socket
from dataclasses import dataclass

from sightflow.errors import SetupError

__all__ = ["Address"]

_HERE = "127.0.0.1"


@dataclass(frozen=True)
class Address:
    """A host and a port to listen on."""

    host: str = _HERE
    port: int = 8642
    """0 takes any free one."""

    @classmethod
    def of(cls, text: str) -> "Address":
        """Return the address that a text names: PORT, HOST:PORT, or [IPv6]:PORT.

        Raises:
            ValueError: it names none.

        Examples:
            >>> Address.of("9000"), Address.of("0.0.0.0:80").host, Address.of("[::1]:80").host
            (Address(host='127.0.0.1', port=9000), '0.0.0.0', '::1')
        """
        found = re.fullmatch(r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|[\w.-]+):)?(?P<port>\d{1,5})", text)
        if found is None or int(found["port"]) > 65_535:
            raise ValueError(f"must be PORT or HOST:PORT, a port from 0 to 65535; got {text!r}")
        return cls((found["host"] or _HERE).strip("[]"), int(found["port"]))

    @property
    def is_here_only(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def listen(self) -> socket.socket:
        """Return a socket that listens there.

        Raises:
            SetupError: it cannot.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        opened = socket.socket(family)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((self.host, self.port))
            opened.listen()
        except OSError as error:
            opened.close()
            raise SetupError(
                f"the page cannot listen on {self.host}, port {self.port}: "
                f"{error.strerror or error}; choose another with --page"
            ) from error
        return opened

    def url(self, port: int) -> str:
        """Return the address for a browser, with the port that it listens on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        names = {"0.0.0.0": socket.gethostname(), "[::]": socket.gethostname()}
        return f"http://{names.get(host, host)}:{port}/"
