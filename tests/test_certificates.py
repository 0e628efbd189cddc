"""When what opens doors comes to its end."""

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import BaseModel

from connector.config.addresses import Server
from connector.sources.graph.login import AppLogin
from connector.watching.certificates import ends_of_credentials, ends_of_hosts
from tests.servers import free_port

END = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)


class Whole(BaseModel):
    """A configuration with a part."""

    login: AppLogin


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """One that nobody vouches for, with its key."""
    key, name = generate_private_key(SECP256R1()), x509.Name([])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, END - timedelta(days=900), END).sign(key, SHA256())
    file = tmp_path / "client.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return file


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    """Of a server that shows it."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificate)

    class Shown(BaseRequestHandler):
        def handle(self) -> None:
            trust.wrap_socket(self.request, server_side=True).close()

    with ThreadingTCPServer(("127.0.0.1", 0), Shown) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_the_ends_of_all_servers_are_seen(port: int) -> None:
    """Whoever vouches for them; one that does not answer is left out, and so is one that is spoken to without TLS."""
    urls = (f"https://127.0.0.1:{port}/x", f"https://127.0.0.1:{free_port()}/", f"http://127.0.0.1:{port}/")
    servers = [Server(each) for each in urls]
    assert ends_of_hosts(servers) == {f"127.0.0.1:{port}": END}
    assert ends_of_hosts(servers, lambda: True) == {}


def test_the_ends_of_credentials_are_seen(certificate: Path, tmp_path: Path) -> None:
    """Of a client's certificate, by its file; of a secret, where somebody wrote down what Entra says."""
    app = {"directory": "example.org", "client": "c1"}
    of_file = Whole(login=AppLogin.model_validate(app | {"certificate": certificate}))
    assert ends_of_credentials(of_file) == {str(certificate): END}
    secret = {"secret": {"env": "UNUSED"}, "secret_ends": "2030-01-02"}
    of_secret = Whole(login=AppLogin.model_validate(app | secret))
    assert ends_of_credentials(of_secret) == {"secret of c1": datetime(2030, 1, 2, tzinfo=UTC)}
    missing = Whole(login=AppLogin.model_validate(app | {"certificate": tmp_path / "none.pem"}))
    assert ends_of_credentials(missing) == {}


def test_a_secret_that_is_not_there_has_no_end() -> None:
    """Whoever writes down an end means a secret."""
    with pytest.raises(ValueError, match="secret_ends belongs to a secret"):
        AppLogin.model_validate({"managed_identity": True, "secret_ends": "2030-01-02"})
