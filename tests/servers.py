"""Real WebDAV servers on loopback: as fixtures, and for scripts (`start_apache(folder)`).

Each is an ordinary child process whose files all lie in temporary folders. A server that is not installed skips its
tests here and fails them where `CI` is set.
"""

import base64
import functools
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.absent import absent

USER = "connector"
PASSWORD = "pässword: with #signs"
_APACHE_MODULES = Path("/usr/lib/apache2/modules")
_MODULES = (
    *("mpm_event", "authn_core", "authn_file", "auth_basic", "auth_digest", "authz_core", "authz_user"),
    *("alias", "dav", "dav_fs", "dir"),
)
_NGINX_DAV_EXT = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")
_START_SECONDS = 20


class NotInstalledError(Exception):
    """The server is not on this machine."""


@dataclass(frozen=True)
class DavServer:
    """A running server, and the local folder that holds its files."""

    name: str
    url: str
    folder: Path
    auth: str = "basic"
    user: str = USER
    password: str = PASSWORD
    stop: Callable[[], None] = lambda: None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.split(":")[2].split("/")[0])


def start_apache(folder: Path, *, auth: str = "basic") -> DavServer:
    """Apache with mod_dav: one process, the same files below /basic/ and below /digest/.

    Started by root it works as www-data, who is given `folder` and must be able to pass through its parents.
    """
    program = _program("apache2", "httpd")
    if not (_APACHE_MODULES / "mod_dav_fs.so").exists():
        raise NotInstalledError("Apache's mod_dav_fs is not installed")
    work, port = _work(), free_port()
    _hand_over(folder, work)
    (work / "htpasswd").write_text(_sha_line())
    (work / "htdigest").write_text(f"{USER}:dav:{hashlib.md5(f'{USER}:dav:{PASSWORD}'.encode()).hexdigest()}\n")
    (work / "apache.conf").write_text(_apache_conf(work, folder, port))
    command = [program, "-f", str(work / "apache.conf"), "-DFOREGROUND"]
    server = DavServer("apache", f"http://127.0.0.1:{port}/{auth}/", folder, auth)
    return _started(server, command, work)


def start_nginx(folder: Path) -> DavServer:
    """Nginx with dav_ext, which overwrites in spite of If-None-Match."""
    program = _program("nginx")
    if not _NGINX_DAV_EXT.exists():
        raise NotInstalledError("nginx's dav_ext module is not installed")
    work, port = _work(), free_port()
    _hand_over(folder, work)
    (work / "htpasswd").write_text(_sha_line())
    (work / "nginx.conf").write_text(_nginx_conf(work, folder, port))
    command = [program, "-p", str(work), "-c", str(work / "nginx.conf"), "-e", str(work / "error.log")]
    return _started(DavServer("nginx", f"http://127.0.0.1:{port}/", folder), command, work)


@contextmanager
def start_nginx_proxy(store: DavServer) -> Iterator[tuple[int, int]]:
    """Nginx as a reverse proxy that logs in at a store; its process and its port."""
    work, port = _work(), free_port()
    _hand_over(work)
    (work / "nginx.conf").write_text(_proxy_conf(work, store, port))
    command = [_program("nginx"), "-p", str(work), "-c", str(work / "nginx.conf"), "-e", str(work / "error.log")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(process, DavServer("nginx", f"http://127.0.0.1:{port}/", store.folder), work)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(work, ignore_errors=True)


def start_rclone(folder: Path) -> DavServer:
    """Rclone, which overwrites in spite of If-None-Match and keeps torn uploads."""
    work, port = _work(), free_port()
    command = [_program("rclone"), "serve", "webdav", str(folder), "--addr", f"127.0.0.1:{port}"]
    command += ["--user", USER, "--pass", PASSWORD, "--config", str(work / "none.conf"), "--cache-dir", str(work)]
    return _started(DavServer("rclone", f"http://127.0.0.1:{port}/", folder), command, work)


def start_wsgidav(folder: Path) -> DavServer:
    """WsgiDAV, which answers 201 to a torn upload and keeps it."""
    work, port = _work(), free_port()
    config = {
        "host": "127.0.0.1",
        "port": port,
        "provider_mapping": {"/": str(folder)},
        "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
        "http_authenticator": {"accept_digest": False, "default_to_digest": False},
        "logging": {"enable": False},
    }
    (work / "wsgidav.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "wsgidav.server.server_cli", "--config", str(work / "wsgidav.json")]
    return _started(DavServer("wsgidav", f"http://127.0.0.1:{port}/", folder), command, work)


STARTERS: dict[str, Callable[[Path], DavServer]] = {
    "apache": start_apache,
    "apache-digest": functools.partial(start_apache, auth="digest"),
    "nginx": start_nginx,
    "rclone": start_rclone,
    "wsgidav": start_wsgidav,
}


def free_port() -> int:
    """A port on loopback that nobody listens on just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture(scope="session", params=STARTERS)
def dav_server(request: pytest.FixtureRequest) -> Iterator[DavServer]:
    """Every server in turn, and Apache with both ways to log in."""
    yield from _running(request.param)


@pytest.fixture(scope="session")
def apache() -> Iterator[DavServer]:
    """Apache with Basic."""
    yield from _running("apache")


@pytest.fixture(scope="session")
def apache_digest() -> Iterator[DavServer]:
    """Apache with Digest."""
    yield from _running("apache-digest")


@pytest.fixture(scope="session")
def nginx() -> Iterator[DavServer]:
    """Nginx with dav_ext."""
    yield from _running("nginx")


@pytest.fixture(scope="session")
def rclone() -> Iterator[DavServer]:
    """Rclone."""
    yield from _running("rclone")


@pytest.fixture(scope="session")
def wsgidav() -> Iterator[DavServer]:
    """WsgiDAV."""
    yield from _running("wsgidav")


def _running(name: str) -> Iterator[DavServer]:
    folder = Path(tempfile.mkdtemp(prefix=f"connector-{name}-files-"))
    folder.chmod(0o755)
    try:
        server = STARTERS[name](folder)
    except NotInstalledError as error:
        absent(str(error))
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _started(server: DavServer, command: list[str], work: Path) -> DavServer:
    with (work / "output.log").open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def stop() -> None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(work, ignore_errors=True)

    try:
        _await(process, server, work)
    except BaseException:
        stop()
        raise
    return replace(server, stop=stop)


def _await(process: subprocess.Popen[bytes], server: DavServer, work: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(server.url):
        if process.poll() is not None or time.monotonic() > deadline:
            logs = "\n".join(log.read_text(errors="replace") for log in work.glob("*.log"))
            raise RuntimeError(f"{server.name} did not start:\n{logs}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(urllib.request.Request(url, method="PROPFIND", headers={"Depth": "0"}), timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True


def _work() -> Path:
    return Path(tempfile.mkdtemp(prefix="connector-server-"))


def _program(*names: str) -> str:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise NotInstalledError(f"{names[0]} is not installed")


def _hand_over(*folders: Path) -> None:
    # Started by root, Apache and nginx work as another account, as they do in service.
    if os.geteuid() == 0:
        for folder in folders:
            shutil.chown(folder, "www-data", "www-data")


def _account(line: str) -> str:
    return line if os.geteuid() == 0 else ""


def _sha_line() -> str:
    return f"{USER}:{{SHA}}{base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()}\n"


def _apache_conf(work: Path, folder: Path, port: int) -> str:
    loads = "\n".join(f"LoadModule {name}_module {_APACHE_MODULES}/mod_{name}.so" for name in _MODULES)
    return f"""
ServerRoot {work}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {work}/pid
ErrorLog {work}/error.log
{loads}
{_account("User www-data")}
{_account("Group www-data")}
DocumentRoot {folder}
DavLockDB {work}/locks
KeepAlive On
MaxKeepAliveRequests 0
# Since 2.4.53 more than 1 GiB is refused otherwise.
LimitRequestBody 0
Alias /basic {folder}
Alias /digest {folder}
<Directory {folder}>
    Dav On
</Directory>
<Location /basic>
    AuthType Basic
    AuthName dav
    AuthUserFile {work}/htpasswd
    Require valid-user
</Location>
<Location /digest>
    AuthType Digest
    AuthName dav
    AuthUserFile {work}/htdigest
    Require valid-user
</Location>
"""


def _proxy_conf(work: Path, store: DavServer, port: int) -> str:
    login = base64.b64encode(f"{store.user}:{store.password}".encode()).decode()
    return f"""
{_account("user www-data;")}
daemon off;
worker_processes 1;
pid {work}/pid;
error_log {work}/error.log;
events {{}}
http {{
    access_log off;
{_temporary(work)}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {store.url};
            proxy_set_header Authorization "Basic {login}";
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""


def _temporary(work: Path) -> str:
    return "\n".join(
        f"    {name}_temp_path {work}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )


def _nginx_conf(work: Path, folder: Path, port: int) -> str:
    return f"""
load_module {_NGINX_DAV_EXT};
{_account("user www-data;")}
daemon off;
worker_processes 1;
pid {work}/pid;
error_log {work}/error.log;
events {{}}
http {{
    access_log off;
{_temporary(work)}
    keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{port};
        root {folder};
        client_max_body_size 0;
        auth_basic dav;
        auth_basic_user_file {work}/htpasswd;
        dav_methods PUT DELETE MKCOL COPY MOVE;
        dav_ext_methods PROPFIND OPTIONS;
    }}
}}
"""
