"""Programs that know only Microsoft's own hosts reach the simulator: by a proxy, with a certificate of ours."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: The hosts that the simulator stands for.
HOSTS = ("graph.microsoft.com", "login.microsoftonline.com")


@dataclass(frozen=True)
class Authority:
    """A certificate for these hosts and for this machine, which a program is told to trust."""

    certificate: Path
    key: Path

    @classmethod
    def of(cls, folder: Path) -> "Authority":
        """A new one, in a folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])])
        now = datetime.now(UTC)
        names = (*map(x509.DNSName, HOSTS), x509.IPAddress(IPv4Address("127.0.0.1")))
        certificate = (
            x509.CertificateBuilder(
                name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        found = cls.read(folder)
        found.certificate.write_bytes(certificate.public_bytes(pem))
        found.key.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        return found

    @classmethod
    def read(cls, folder: Path) -> "Authority":
        """The one that was made in a folder."""
        return cls(folder / "authority.pem", folder / "authority.key")

    @property
    def tls(self) -> ssl.SSLContext:
        """What a server for these hosts speaks."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class _Tunnel(BaseHTTPRequestHandler):
    """CONNECT to one of the hosts leads to the simulator; nothing else leads anywhere."""

    upstream: tuple[str, int]

    def do_CONNECT(self) -> None:
        """Open the tunnel, and carry bytes both ways until one side ends."""
        if self.path not in {f"{host}:443" for host in HOSTS}:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        with socket.create_connection(self.upstream) as upstream:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            back = threading.Thread(target=_carry, args=(upstream, self.connection), daemon=True)
            back.start()
            _carry(self.connection, upstream)
            back.join()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(256 * 1024):
            target.sendall(data)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def tunnel(port: int) -> Iterator[str]:
    """The URL of a proxy that leads to the simulator on this port."""
    handler = type("Tunnel", (_Tunnel,), {"upstream": ("127.0.0.1", port)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
