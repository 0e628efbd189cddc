"""What the EWS source makes of ids, bytes, replies and networks that are not as they should be."""

import base64
import itertools
import re
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connector.errors import Conflict, ConnectorError, Denied, Gone, Rejected, Unavailable
from connector.sources.ews import EwsMailboxes
from connector.sources.ews.connection import parsed, response_messages
from connector.sources.ews.content import decoded
from connector.sources.ews.failures import Answered, Garbled, Grief, NoContent
from connector.sources.exchange import mailbox_guid

SOAP = (
    b'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
    b' xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"'
    b' xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Body>%b</s:Body></s:Envelope>'
)
GUID = "6f1b1a52-8d0c-4f0e-9f5e-0d6a3c1e7b11"
HTML_PAGE = b"<html><body>please log in</body></html>"


def attachment(content: bytes) -> bytes:
    """A reply to GetAttachment whose Content is this text."""
    return SOAP % (
        b"<m:GetAttachmentResponse><m:ResponseMessages><m:GetAttachmentResponseMessage ResponseClass='Success'>"
        b"<m:ResponseCode>NoError</m:ResponseCode><m:Attachments><t:FileAttachment><t:Name>a</t:Name>"
        b"<t:Content>%b</t:Content></t:FileAttachment></m:Attachments></m:GetAttachmentResponseMessage>"
        b"</m:ResponseMessages></m:GetAttachmentResponse>" % content
    )


def refusal(code: str, more: str = "") -> bytes:
    """A reply with one response message that tells of an error."""
    told = f"<m:ResponseCode>{code}</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>{more}"
    return SOAP % (
        b"<m:GetItemResponse><m:ResponseMessages><m:GetItemResponseMessage ResponseClass='Error'>%b"
        b"</m:GetItemResponseMessage></m:ResponseMessages></m:GetItemResponse>" % told.encode()
    )


def pieces(reply: bytes, size: int) -> Iterator[bytes]:
    """A reply as it comes in."""
    return (reply[start : start + size] for start in range(0, len(reply), size))


# --- ids -------------------------------------------------------------------------------------------------------------


def test_the_guid_of_a_mailbox_is_read_from_an_id() -> None:
    """It stands at the beginning of every id that Exchange makes."""
    folder_id = base64.b64encode(b"\x00\x03\x24\x00" + GUID.upper().encode() + b"\x00\x2e\x00 and the entry id")
    assert mailbox_guid(folder_id.decode()) == GUID


@pytest.mark.parametrize("guid", [GUID, "00034001-1dd7-4445-a0b1-c2d3e4f50617", "00000000-1111-2222-3333-444444444444"])
def test_the_guid_is_read_from_a_shortened_id_too(guid: str) -> None:
    """Where the first byte says so, two equal bytes are followed by how many more of them there are."""
    runs = ("".join(run) for _, run in itertools.groupby(guid))
    shortened = b"".join(run[:2].encode() + bytes([len(run) - 2] if len(run) > 1 else []) for run in runs)
    folder_id = base64.b64encode(b"\x01\x03\x24\x00" + shortened + b"\x00\x2e\x00 and the entry id")
    assert mailbox_guid(folder_id.decode()) == guid


@pytest.mark.parametrize("folder_id", ["", "root", "AAMkAA==", "\u00fc", base64.b64encode(bytes(60)).decode()])
def test_other_ids_give_a_key_too(folder_id: str) -> None:
    """A server that makes its ids otherwise still has one key for each mailbox."""
    assert mailbox_guid(folder_id) == mailbox_guid(folder_id)
    assert len(mailbox_guid(folder_id)) == 64
    assert mailbox_guid(folder_id) != mailbox_guid(folder_id + "x")


# --- the bytes of an attachment --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 100, 10**6])
@pytest.mark.parametrize("content", [b"", b"x", b"xy", b"xyz", bytes(range(256)) * 41])
def test_content_is_decoded_however_it_arrives(content: bytes, size: int) -> None:
    """In pieces of any size, with lines wrapped or not."""
    for text in (base64.b64encode(content), base64.encodebytes(content).replace(b"\n", b"&#xD;\n")):
        assert b"".join(decoded(pieces(attachment(text), size))) == content


@pytest.mark.parametrize("broken", [b"QUJ", b"QUJD*UJD", b"QQ==QUJD", b"QUJDQ"])
def test_content_that_is_not_base64_is_garbled(broken: bytes) -> None:
    """Never guessed at."""
    with pytest.raises(Garbled):
        list(decoded(pieces(attachment(broken), 50)))


def test_a_reply_that_breaks_off_is_garbled() -> None:
    """Wherever that happens: short content never passes for whole content."""
    reply = attachment(base64.b64encode(b"content" * 9))
    for end in range(0, len(reply), 5):
        with pytest.raises(Garbled):
            list(decoded(iter([reply[:end]])))


def test_a_refusal_in_place_of_content_is_told() -> None:
    """With the code that the server gave."""
    with pytest.raises(Answered) as told:
        list(decoded(pieces(refusal("ErrorItemNotFound"), 50)))
    assert told.value.code == "ErrorItemNotFound"


def test_a_file_without_content_is_not_empty() -> None:
    """A reference to a file elsewhere has no bytes; an empty file has none either, but says so."""
    assert b"".join(decoded(iter([attachment(b"")]))) == b""
    with pytest.raises(NoContent):
        list(decoded(iter([attachment(b"").replace(b"<t:Content></t:Content>", b"")])))


def test_a_doctype_is_refused() -> None:
    """Entities could grow without end."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
    with pytest.raises(Garbled):
        list(decoded(iter([bomb])))


#: What may stand within the element, and what may not.
_INSIDE = st.one_of(
    st.binary(max_size=20).map(base64.b64encode),
    st.sampled_from(
        [b"QUJD", b"QU", b"JD", b"QQ==", b"=", b"*", b"\xc3\xa9", b"\x00", b"\x0b", b"", b"]]>", b">", b"a;"]
    ),
    st.sampled_from([b" ", b"\n", b"\r\n", b"\t", b"&#xD;\n", b"&#81;", b"&#x4a;", b"&lt;", b"&amp;", b"&", b"&nbsp;"]),
    st.sampled_from(
        [b"<!-- QUJD > -->", b"<!--", b"<![CDATA[QUJD]]>", b"<![CDATA[<]]>", b"<?x > ?>", b"<x/>", b"<x>QUJD</x>"]
    ),
)
_TAGS = st.sampled_from(
    [
        (b"<t:Content>", b"</t:Content>"),
        (b"<t:Content\n  >", b"</t:Content >"),
        (b"<t:Content a='>' b='> >'>", b"</t:Content>"),
        (b"<t:Content a='<'>", b"</t:Content>"),
        (b"<T:Content xmlns:T='http://schemas.microsoft.com/exchange/services/2006/types'>", b"</T:Content>"),
        (b"<Content xmlns='http://schemas.microsoft.com/exchange/services/2006/types'>", b"</Content>"),
        (b"<t:Name>&gt;></t:Name><!-- > <t:Content>QQ== --><t:Content>", b"</t:Content>"),
        (b"<x:Content xmlns:x='urn:other'>QQ==</x:Content><t:Content>", b"</t:Content><t:Content>QUJD</t:Content>"),
        (b"<t:Content/><t:Content>", b"</t:Content>"),
        (b"<t:Content>", b"</t:Name>"),
    ]
)


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """Replies with one attachment, most of them not quite right."""
    start, end = draw(_TAGS)
    inside = b"".join(draw(st.lists(_INSIDE, max_size=6)))
    reply = attachment(b"").replace(b"<t:Content></t:Content>", start + inside + end)
    reply += draw(st.sampled_from([b"", b"", b"\n", b"x", b"<x/>"]))
    encoding = draw(st.sampled_from(["", "", "utf-16", "utf-16-be", "utf-16-le"]))
    if encoding:
        reply = reply.decode().replace("utf-8", "utf-16").encode(encoding)
    return reply[: len(reply) - draw(st.sampled_from([0, 0, 0, 1, 20, 60]))]


def by_the_book(reply: bytes) -> bytes | None:
    """What a parser makes of the whole reply; None where it is not well formed, or holds no base64."""
    try:
        (content, *_) = ET.fromstring(reply).iter("{http://schemas.microsoft.com/exchange/services/2006/types}Content")
    except (ET.ParseError, ValueError):
        return None
    text = (content.text or "").translate(dict.fromkeys(map(ord, " \t\r\n")))
    is_base64 = re.fullmatch("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}([A-Za-z0-9+/]|=)=)?", text)
    return base64.b64decode(text) if is_base64 and not len(content) else None


@hypothesis_settings(max_examples=500, deadline=None)
@given(reply=replies(), cuts=st.lists(st.integers(0, 900), max_size=8).map(sorted))
def test_no_reply_is_read_otherwise_than_by_a_parser(reply: bytes, cuts: list[int]) -> None:
    """Wherever it is cut into pieces, and whatever stands in it: the same bytes, or no bytes at all."""
    try:
        content = b"".join(decoded(reply[start:end] for start, end in itertools.pairwise([0, *cuts, len(reply)])))
    except Garbled:
        assert by_the_book(reply) is None
    else:
        assert content == by_the_book(reply)


def test_memory_stays_flat() -> None:
    """30 MB go through in the memory of a few pieces."""
    content = base64.b64encode(bytes(3 * 10**6))
    reply = attachment(b"%b")
    head, _, tail = reply.partition(b"%b")

    def chunks() -> Iterator[bytes]:
        yield head
        for _ in range(10):
            yield from pieces(content, 65536)
        yield tail

    tracemalloc.start()
    assert sum(len(chunk) for chunk in decoded(chunks())) == 30 * 10**6
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 10**6


# --- replies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("illegal", [b"&#x1F;", b"&#11;", b"\x0b", b"&#xFFFE;", b"\xef\xbf\xbe", b"&#xD800;"])
def test_characters_that_xml_cannot_hold_are_left_out(illegal: bytes) -> None:
    """Exchange passes on what stands in mail; the message stays readable."""
    reply = refusal("NoError").replace(b"'Error'", b"'Success'").replace(b"GetItem", b"CreateItem")
    reply = reply.replace(b">0<", b">a%bb<" % illegal)
    (message,) = response_messages(parsed(reply))
    assert not isinstance(message, Answered)
    assert message.findtext("{*}DescriptiveLinkKey") == "ab"


def test_a_reference_to_no_character_is_garbled() -> None:
    """However many digits it has."""
    with pytest.raises(Garbled):
        parsed(b"<a>&#%b;</a>" % (b"9" * 5000))


def test_a_reply_without_its_end_is_garbled() -> None:
    """Nothing is read from a reply that was cut off, however much of it is there."""
    reply = refusal("ErrorItemNotFound")
    for end in range(0, len(reply) - 1, 9):
        with pytest.raises(Garbled):
            response_messages(parsed(reply[:end]))


def success(what: str, *contents: str) -> bytes:
    """A reply of this operation with a response message for each of these contents."""
    told = (
        f"<m:{what}ResponseMessage ResponseClass='Success'><m:ResponseCode>NoError</m:ResponseCode>{each}"
        f"</m:{what}ResponseMessage>"
        for each in contents
    )
    messages = f"<m:{what}Response><!-- > --><m:ResponseMessages><!-- > -->{''.join(told)}</m:ResponseMessages>"
    return SOAP % f"{messages}</m:{what}Response>".encode()


ITEM = "<m:Items><t:Message><t:ItemId Id='AAA=' ChangeKey='1'/></t:Message></m:Items>"


@pytest.mark.parametrize(
    ("what", "bare", "whole"),
    [
        ("GetItem", "<m:Items/>", ITEM),
        ("FindItem", "<m:RootFolder/>", "<m:RootFolder><t:Items/></m:RootFolder>"),
        ("FindFolder", "", "<m:RootFolder/>"),
    ],
)
def test_a_success_that_holds_nothing_is_none(what: str, bare: str, whole: str) -> None:
    """That nothing was found is said, and never only left out: files are deleted where nothing is found."""
    (told,) = response_messages(parsed(success(what, whole)))
    assert not isinstance(told, Answered)
    with pytest.raises(Garbled):
        response_messages(parsed(success(what, bare)))


# --- networks and servers --------------------------------------------------------------------------------------------


class Canned(BaseHTTPRequestHandler):
    """Answers every request with the same bytes."""

    answer: Callable[[BaseHTTPRequestHandler], None]

    def do_POST(self) -> None:
        """Take the whole request, then answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).answer(self)

    def log_message(self, *_: Any) -> None:
        """Silence."""


def http(status: int, body: bytes, *, announced: int | None = None, **headers: str) -> Callable[[Any], None]:
    """An answer; `announced` is a Content-Length that is a lie."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Type": "text/xml; charset=utf-8", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(announced or len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = announced is not None

    return answer


@contextmanager
def server(answer: Callable[[Any], None]) -> Iterator[str]:
    """The address of a server that always answers so."""
    handler = type("Handler", (Canned,), {"answer": staticmethod(answer)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/EWS/Exchange.asmx"
        httpd.shutdown()


def settings(url: str | None, **more: Any) -> EwsMailboxes:
    """A minimal configuration."""
    told = {"type": "ews", "url": url, "auth": "basic", "user": "svc@example.org", "password": {"env": "EWS_PASSWORD"}}
    return EwsMailboxes.model_validate({**told, "mailboxes": ["anna@example.org"], **more})


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EWS_PASSWORD", "p\u00e4ssw\u00f6rd \u043f")


def failure(url: str, **more: Any) -> ConnectorError:
    """What the first verb of a source raises."""
    (source,) = settings(url, **more).sources()
    with pytest.raises(ConnectorError) as told:
        source.fetch("AAA=")
    assert "\n" not in str(told.value)
    assert "p\u00e4ssw\u00f6rd" not in str(told.value)
    return told.value


BUSY = '<m:MessageXml><t:Value Name="BackOffMilliseconds">17250</t:Value></m:MessageXml>'


@pytest.mark.parametrize(
    ("answer", "reaction", "words"),
    [
        (http(401, b"", WWW_Authenticate='Basic realm="x"'), Denied, "credentials of svc@example.org"),
        (http(403, b""), Denied, "EWS"),
        (http(404, b""), Denied, "url"),
        (http(302, b"", Location="/owa"), Denied, "url"),
        (http(308, b"", Location="https://127.0.0.1/EWS/Exchange.asmx"), Denied, "url"),
        (http(503, b""), Unavailable, "503"),
        (http(500, HTML_PAGE, Content_Type="text/html"), Unavailable, "500"),
        (http(200, HTML_PAGE), Unavailable, "127.0.0.1"),
        (http(200, HTML_PAGE, Content_Type="text/html"), Unavailable, "web page"),
        (http(200, b""), Unavailable, "127.0.0.1"),
        (http(200, refusal("ErrorItemNotFound")[:-30]), Unavailable, "127.0.0.1"),
        (http(200, refusal("ErrorItemNotFound"), announced=5000), Unavailable, "127.0.0.1"),
        (http(200, refusal("ErrorItemNotFound")), Gone, "anna@example.org"),
        (http(200, refusal("ErrorTimeoutExpired")), Grief, "no time or room"),
        (http(200, refusal("ErrorServerBusy", BUSY)), Unavailable, "no time or room"),
        (http(200, success("GetItem")), Unavailable, "not a whole EWS reply"),
        (http(200, success("GetItem", ITEM, ITEM)), Unavailable, "not a whole EWS reply"),
        (http(200, refusal("ErrorNonExistentMailbox")), Denied, "no mailbox anna@example.org"),
        (http(200, refusal("ErrorImpersonateUserDenied")), Denied, "ApplicationImpersonation"),
        (http(200, refusal("ErrorContentConversionFailed")), Rejected, "ErrorContentConversionFailed"),
        (http(200, refusal("ErrorInternalServerError")), Conflict, "failed at an item"),
        (http(200, refusal("ErrorToFolderNotFound")), Conflict, "anna@example.org"),
        (http(200, refusal("ErrorQuotaExceeded")), Unavailable, "raise its quota"),
        (
            http(500, SOAP % b"<s:Fault><faultcode>a:ErrorInternalServerError</faultcode></s:Fault>"),
            Grief,
            "failed",
        ),
        (
            http(500, SOAP % b"<s:Fault><faultcode>a:ErrorInvalidLicense</faultcode></s:Fault>"),
            Unavailable,
            "InvalidLic",
        ),
        (http(500, SOAP % b"<s:Fault><faultcode>\na secret</faultcode></s:Fault>"), Unavailable, "no response code"),
        (http(500, SOAP % b"<s:Fault><faultcode>a:ErrorSchemaValidation</faultcode></s:Fault>"), Rejected, "Schema"),
    ],
)
def test_answers_and_reactions(answer: Callable[[Any], None], reaction: type[ConnectorError], words: str) -> None:
    """Each ends in the error that names our reaction, and in a sentence that says what to do."""
    with server(answer) as url:
        told = failure(url)
    assert type(told) is reaction
    assert words in str(told)


def test_how_long_to_wait_is_passed_on() -> None:
    """From BackOffMilliseconds in a response or in a fault, and from the header Retry-After."""
    detail = b"<detail><e:ResponseCode xmlns:e='errors'>ErrorServerBusy</e:ResponseCode>%b</detail>" % BUSY.encode()
    for answer, wait in (
        (http(200, refusal("ErrorServerBusy", BUSY)), 17.25),
        (http(500, SOAP % (b"<s:Fault><faultcode>x</faultcode>%b</s:Fault>" % detail)), 17.25),
        (http(503, b"", Retry_After="30"), 30),
        (http(503, b"", Retry_After="9" * 5000), 10**9 - 1),
        (http(200, refusal("ErrorServerBusy", BUSY.replace("17250", "9" * 5000))), 10**6 - 0.001),
    ):
        with server(answer) as url:
            told = failure(url)
        assert isinstance(told, Unavailable)
        assert told.retry_after == timedelta(seconds=wait)


def test_without_impersonation_another_right_is_named() -> None:
    """The sentence names the permission that this account needs."""
    with server(http(200, refusal("ErrorAccessDenied"))) as url:
        assert "FullAccess" in str(failure(url, impersonation=False))


def test_a_code_that_nobody_foresaw_is_a_bug() -> None:
    """It is neither swallowed nor taken for another; the code stands in it."""
    with server(http(200, refusal("ErrorWin32InteropError"))) as url:
        (source,) = settings(url).sources()
        with pytest.raises(RuntimeError, match="ErrorWin32InteropError"):
            source.fetch("AAA=")


def test_nobody_listens() -> None:
    """Refused connections and unknown hosts name the host."""
    with closing(socket.create_server(("127.0.0.1", 0))) as port:
        number = port.getsockname()[1]
    assert "127.0.0.1" in str(failure(f"http://127.0.0.1:{number}/"))
    told = failure("https://mail.invalid/EWS/Exchange.asmx")
    assert (type(told), "mail.invalid" in str(told)) == (Unavailable, True)


def test_a_server_without_tls_is_unavailable() -> None:
    """What goes wrong with TLS is said with the host."""
    with server(http(200, b"")) as url:
        told = failure(url.replace("http://", "https://"))
    assert (type(told), "127.0.0.1" in str(told)) == (Unavailable, True)


def test_the_environment_is_not_heeded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy and no netrc steers where requests go, or as whom."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    with server(http(200, refusal("ErrorItemNotFound"))) as url:
        assert isinstance(failure(url), Gone)


def test_a_right_password_after_a_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a failed login is remembered: the next source logs in anew."""
    right = base64.b64encode(b"svc@example.org:right").decode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        authorised = handler.headers.get("Authorization") == f"Basic {right}"
        http(200, refusal("ErrorItemNotFound"))(handler) if authorised else http(401, b"")(handler)

    with server(answer) as url:
        monkeypatch.setenv("EWS_PASSWORD", "wrong")
        assert isinstance(failure(url), Denied)
        monkeypatch.setenv("EWS_PASSWORD", "right")
        assert isinstance(failure(url), Gone)


def test_cookies_of_exchange_are_sent_back() -> None:
    """They lead a load balancer to the server that has the mailbox."""
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("Cookie"))
        http(200, refusal("ErrorItemNotFound"), Set_Cookie="backend=7; Path=/")(handler)

    with server(answer) as url:
        (source,) = settings(url).sources()
        for _ in range(2):
            with pytest.raises(Gone):
                source.fetch("AAA=")
    assert seen == [None, "backend=7"]


def test_a_missing_password_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent."""
    monkeypatch.delenv("EWS_PASSWORD")
    assert "EWS_PASSWORD" in str(failure("http://127.0.0.1:9/"))


# --- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://mail.example.org/EWS/Exchange.asmx"}, "https"),
        ({"url": None}, "either url or autodiscover"),
        ({"autodiscover": True}, "either url or autodiscover"),
        ({"password": None}, "user and password"),
        ({"password": "secret-text"}, "never written here"),
        ({"mailboxes": []}, "at least 1"),
        ({"mailboxes": ["anna"]}, "pattern"),
        ({"mailboxes": ["anna@example.org", "Anna@example.org"]}, "more than once"),
        ({"auth": "certificate"}, "belong together"),
        ({"certificate": "c.pem"}, "belong together"),
        ({"pasword": "x"}, "Extra inputs"),
        ({"since": "yesterday"}, "since"),
    ],
)
def test_bad_settings_are_refused(change: dict[str, Any], words: str) -> None:
    """With words that say what is wrong."""
    with pytest.raises(ValidationError) as told:
        settings(**{"url": "https://mail.example.org/EWS/Exchange.asmx", **change})
    assert words in str(told.value)


def test_good_settings() -> None:
    """Every way to log in, and every kind of first contact."""
    url = "https://mail.example.org/EWS/Exchange.asmx"
    assert settings(url, since="everything").since == "everything"
    assert settings(url, since="2026-01-31").since == date(2026, 1, 31)
    assert settings(url, auth="kerberos", user=None, password=None).auth == "kerberos"
    assert settings(url, auth="certificate", certificate="c.pem").certificate == Path("c.pem")
    assert settings(None, autodiscover=True).autodiscover
