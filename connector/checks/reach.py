"""Whether a server can be reached, step by step, so that what is wrong has its right name: name, port, certificate."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from connector.checks.finding import Finding
from connector.config.addresses import Server
from connector.config.loading import TenantConfig

#: A certificate that ends sooner is told of: houses take weeks to get one.
SOON = timedelta(days=30)
_PATIENCE = 10
#: What OpenSSL calls them (X509_V_ERR_...): ended; not begun; made out to another name, or address; nobody vouches.
_ENDED, _NOT_BEGUN, _OTHER_NAME, _UNKNOWN = 10, 9, {62, 64}, {18, 19, 20, 21}


def servers(config: TenantConfig) -> Iterator[tuple[str, Server]]:
    """All whom a tenant speaks to, each once, with the field of its file that names it."""
    known: set[tuple[str, int]] = set()
    for field, server in _named(config):
        if (server.host, server.port) not in known:
            known.add((server.host, server.port))
            yield field, server


def _named(config: TenantConfig) -> Iterator[tuple[str, Server]]:
    for number, entry in enumerate(config.sources):
        yield from ((f"sources.{number}", server) for server in entry.servers())
    yield from (("store", server) for server in config.store.servers())
    if config.links:
        yield "links", Server(config.links.url, config.links.ca)


def reached(tried: str, field: str, server: Server, now: datetime) -> Finding:
    """The first step that fails; or how long its certificate is good for."""
    host, port = server.host, server.port
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        says = f"the name {host} does not resolve ({error.strerror})"
        todo = f"enter it into DNS, or correct the address in `{field}`"
        return Finding(tried, "unreachable", says, todo, f"getent ahosts {host}")
    try:
        with socket.create_connection((host, port), _PATIENCE) as line:
            if not server.encrypted:
                return Finding(tried, "fine", f"{host} listens on port {port}")
            return _certified(tried, field, server, line, now)
    except ConnectionRefusedError:
        says, todo = f"{host} refuses connections to port {port}: nothing listens there", "start the server, or correct"
    except TimeoutError:
        says, todo = f"{host} does not answer on port {port} within {_PATIENCE} s", "open the firewall, or correct"
    except OSError as error:
        says, todo = (
            f"{host} is out of reach on port {port} ({error.strerror or error})",
            "mend the network, or correct",
        )
    return Finding(tried, "unreachable", says, f"{todo} the address in `{field}`", f"nc -vz {host} {port}")


def _certified(tried: str, field: str, server: Server, line: socket.socket, now: datetime) -> Finding:
    host = server.host
    known = server.ca or (None if server.system else DEFAULT_CA_BUNDLE_PATH)
    try:
        trusting = ssl.create_default_context(cafile=known)
    except OSError as error:
        says = f"the file {server.ca} cannot be read as authorities ({error.strerror or type(error).__name__})"
        todo = f"correct `ca` in `{field}`: a PEM file that the daemon's user may read"
        return Finding(tried, "unreachable", says, todo, f"openssl x509 -noout -subject -in {server.ca}")
    try:
        with trusting.wrap_socket(line, server_hostname=host) as tls:
            certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    except ssl.SSLCertVerificationError as error:
        return _distrusted(tried, field, server, error)
    except ssl.SSLError as error:
        says = f"{host} speaks no TLS that we accept on port {server.port} ({error.reason})"
        todo = f"have it offer TLS 1.2 or newer there, or correct the address in `{field}`"
        return Finding(tried, "unreachable", says, todo, _showing(server))
    left = certificate.not_valid_after_utc - now.astimezone(UTC)
    says = f"its certificate is good for {left.days} days"
    if left < SOON:
        return Finding(tried, "soon", f"{says} only", "renew it on the server before it ends", _showing(server))
    return Finding(tried, "fine", f"{host}: {says}")


def _distrusted(tried: str, field: str, server: Server, error: ssl.SSLCertVerificationError) -> Finding:
    host = server.host
    shown = _shown(server)
    says = f"the certificate of {host} is not accepted: {error.verify_message}"
    todo = f"bring `ca` in `{field}` up to date, or have the server renew its certificate"
    if error.verify_code == _ENDED:
        ended = f" on {shown.not_valid_after_utc:%Y-%m-%d}" if shown else ""
        says, todo = f"the certificate of {host}, or one above it, has ended{ended}", "renew it on the server"
    elif error.verify_code == _NOT_BEGUN:
        says, todo = f"the certificate of {host} is not valid yet", "set the clocks right, here and on the server"
    elif error.verify_code in _OTHER_NAME:
        says = f"the certificate is made out to {_names(shown)}, not to {host}"
        todo = f"write one of these names in `{field}`, or have the server's certificate made out to {host}"
    elif shown and error.verify_code in _UNKNOWN:
        says = f"nobody whom we trust vouches for {host}: its certificate is issued by {_issuer(shown)}"
        todo = f"write the certificate of that authority into a PEM file, and name it as `ca` in `{field}`"
    return Finding(tried, "unreachable", says, todo, _showing(server))


def _shown(server: Server) -> x509.Certificate | None:
    """The certificate, whoever vouches for it: it is only read, and nothing is sent."""
    reading = ssl.create_default_context()
    reading.check_hostname, reading.verify_mode = False, ssl.CERT_NONE
    host = server.host
    with (
        suppress(OSError, ValueError),
        socket.create_connection((host, server.port), _PATIENCE) as line,
        reading.wrap_socket(line, server_hostname=host) as tls,
    ):
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    return None


def _issuer(certificate: x509.Certificate) -> str:
    named = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(named[0].value) if named else certificate.issuer.rfc4514_string()


def _names(certificate: x509.Certificate | None) -> str:
    if certificate is None:
        return "another name"
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "no name at all"
    return ", ".join(str(each.value) for each in found)


def _showing(server: Server) -> str:
    host, port = server.host, server.port
    return f"openssl s_client -connect {host}:{port} -servername {host} -showcerts </dev/null"
