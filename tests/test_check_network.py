"""What `check` says of servers: each step that can fail has its own name, and what to do about it."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from connector.checks.check import failed
from connector.checks.finding import Finding
from connector.checks.reach import reached
from connector.config.addresses import Server
from connector.errors import Denied, Unavailable
from connector.sources.ews import EwsMailboxes

NOW = datetime.now(UTC)
_LOCAL = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@dataclass
class Authority:
    """Vouches for servers, and has its certificate in a file."""

    folder: Path

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "House CA")])
        made = self._built(self.name, self.key, NOW - timedelta(days=400), NOW + timedelta(days=400))
        self.ca = self.folder / "ca.pem"
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        signing = x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        made = made.add_extension(signing, critical=True)
        self.ca.write_bytes(made.sign(self.key, SHA256()).public_bytes(Encoding.PEM))

    def vouches(self, *, since: timedelta, until: timedelta, name: x509.GeneralName = _LOCAL) -> Path:
        """A certificate and its key, in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")])
        made = self._built(subject, key, NOW + since, NOW + until)
        made = made.add_extension(x509.SubjectAlternativeName([name]), critical=False)
        file = self.folder / "server.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(made.sign(self.key, SHA256()).public_bytes(Encoding.PEM) + private)
        return file

    def _built(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, since: datetime, until: datetime
    ) -> x509.CertificateBuilder:
        return x509.CertificateBuilder(self.name, subject, key.public_key(), x509.random_serial_number(), since, until)


@contextmanager
def serving(certificate: Path) -> Iterator[str]:
    """A server that shakes hands with whoever comes; its address."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def shake() -> None:
            while True:
                try:
                    line, _ = listening.accept()
                except OSError:
                    return
                with line:
                    try:
                        context.wrap_socket(line, server_side=True).close()
                    except OSError:
                        continue

        threading.Thread(target=shake, daemon=True).start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}/dav/"
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """One of the house, which nobody else knows."""
    return Authority(tmp_path)


def asked(url: str, ca: Path | None = None) -> Finding:
    """What is found out about a store at this address."""
    return reached("acme: store", "store", Server(url, ca), NOW)


def test_a_certificate_that_is_right_says_how_long(authority: Authority) -> None:
    """Whoever reads it knows when to come back."""
    with serving(authority.vouches(since=timedelta(days=-1), until=timedelta(days=90, hours=1))) as url:
        found = asked(url, authority.ca)
    assert (found.severity, found.says) == ("fine", "127.0.0.1: its certificate is good for 90 days")


def test_a_certificate_that_ends_soon_is_told_of_before(authority: Authority) -> None:
    """It works today: that is why nobody looks."""
    with serving(authority.vouches(since=timedelta(days=-1), until=timedelta(days=12, hours=1))) as url:
        found = asked(url, authority.ca)
    assert (found.severity, found.says) == ("soon", "its certificate is good for 12 days only")
    assert found.fix.startswith("openssl s_client -connect 127.0.0.1:")


def test_a_certificate_that_has_ended_says_when(authority: Authority) -> None:
    """And not that somebody is not trusted."""
    with serving(authority.vouches(since=timedelta(days=-90), until=timedelta(days=-3))) as url:
        found = asked(url, authority.ca)
    ended = (NOW - timedelta(days=3)).strftime("%Y-%m-%d")
    assert (found.severity, found.todo) == ("unreachable", "renew it on the server")
    assert found.says == f"the certificate of 127.0.0.1, or one above it, has ended on {ended}"


def test_a_certificate_that_is_not_valid_yet_points_at_clocks(authority: Authority) -> None:
    """One of the two is wrong."""
    with serving(authority.vouches(since=timedelta(days=3), until=timedelta(days=90))) as url:
        found = asked(url, authority.ca)
    assert (found.severity, "not valid yet" in found.says) == ("unreachable", True)
    assert "clocks" in found.todo


def test_an_authority_that_is_missing_is_named_with_the_field_that_takes_it(authority: Authority) -> None:
    """Most houses have one of their own."""
    with serving(authority.vouches(since=timedelta(days=-1), until=timedelta(days=90))) as url:
        found = asked(url)
    assert found.severity == "unreachable"
    assert found.says == "nobody whom we trust vouches for 127.0.0.1: its certificate is issued by House CA"
    assert "`ca` in `store`" in found.todo


def test_a_server_that_speaks_no_tls_is_told_as_that() -> None:
    """Nobody looks for a broken network where plain HTTP, or a TLS of the past, answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            line, _ = listening.accept()
            with line:
                line.recv(64)
                line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        port = listening.getsockname()[1]
        found = asked(f"https://127.0.0.1:{port}/dav/")
    says = f"127.0.0.1 speaks no TLS that we accept on port {port} (WRONG_VERSION_NUMBER)"
    assert (found.severity, found.says) == ("unreachable", says)
    assert found.todo == "have it offer TLS 1.2 or newer there, or correct the address in `store`"


def test_a_certificate_for_another_name_says_for_which(authority: Authority) -> None:
    """The address in the configuration may be an alias."""
    other = x509.DNSName("files.example.org")
    with serving(authority.vouches(since=timedelta(days=-1), until=timedelta(days=90), name=other)) as url:
        found = asked(url, authority.ca)
    assert found.says == "the certificate is made out to files.example.org, not to 127.0.0.1"


def test_a_file_of_authorities_that_is_none_is_told_as_that(authority: Authority, tmp_path: Path) -> None:
    """It is ours to mend, not the server's."""
    (tmp_path / "none.pem").write_text("nothing")
    with serving(authority.vouches(since=timedelta(days=-1), until=timedelta(days=90))) as url:
        found = asked(url, tmp_path / "none.pem")
    assert "cannot be read as authorities" in found.says


def test_a_name_that_does_not_resolve_is_not_a_server_that_is_down() -> None:
    """Names below `invalid` never do (RFC 6761)."""
    found = asked("https://files.invalid/dav/")
    assert (found.severity, found.fix) == ("unreachable", "getent ahosts files.invalid")
    assert found.says.startswith("the name files.invalid does not resolve")
    assert "`store`" in found.todo


def test_a_port_that_nobody_listens_on_is_told_as_that() -> None:
    """The machine is there, its server is not."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    found = asked(f"http://127.0.0.1:{port}/")
    assert found.says == f"127.0.0.1 refuses connections to port {port}: nothing listens there"
    assert found.fix == f"nc -vz 127.0.0.1 {port}"


def test_without_tls_there_is_nothing_to_end() -> None:
    """For servers of this very machine."""
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        assert asked(f"http://127.0.0.1:{port}/") == Finding("acme: store", "fine", f"127.0.0.1 listens on port {port}")


def test_what_mends_a_scope_in_exchange_on_premises() -> None:
    """By role where the account acts for others, by mailbox where it does not."""
    given = {"type": "ews", "url": "https://mail.example.org/EWS/Exchange.asmx", "user": "svc", "mailboxes": ["a@b.c"]}
    acting = EwsMailboxes.model_validate({**given, "password": {"env": "UNUSED"}})
    apart = acting.model_copy(update={"impersonation": False})
    assert acting.letting_in("a@b.c").startswith(
        "New-ManagementRoleAssignment -Role ApplicationImpersonation -User svc"
    )
    assert acting.keeping_out("o@b.c").endswith("Set-ManagementRoleAssignment -CustomRecipientWriteScope SCOPE")
    assert apart.letting_in("a@b.c") == "Add-MailboxPermission -Identity a@b.c -User svc -AccessRights FullAccess"
    assert apart.keeping_out("o@b.c") == "Remove-MailboxPermission -Identity o@b.c -User svc -AccessRights FullAccess"
    assert [each.port for each in acting.servers()] == [443]


def test_what_is_wrong_always_says_what_to_do() -> None:
    """A finding without a way out is refused when it is made."""
    with pytest.raises(ValueError, match="nobody is told what to do"):
        Finding("a thing", "stopped", "it is broken", "mend it")


def test_what_grants_a_right_is_told_where_one_is_missing_and_not_where_the_server_is_silent() -> None:
    """A name that does not resolve is mended by no role in Exchange."""
    silent = failed("mailbox", Unavailable("does not resolve"), "connector check", "New-ManagementRoleAssignment")
    denied = failed("mailbox", Denied("no right"), "connector check", "New-ManagementRoleAssignment")
    assert (silent.severity, silent.fix) == ("unreachable", "connector check")
    assert (denied.severity, denied.fix) == ("refused", "New-ManagementRoleAssignment")
