"""Real bodies, from outside the project: every one of them takes a notice and gives it back."""

import email
import os
from collections.abc import Iterator
from email.policy import compat32
from pathlib import Path

import pytest
from lxml import html as lxml_html

from connector.model import Body
from connector.rewrite import insert, remove, shows
from tests.test_rewrite import NOTICE

ROOT = Path(__file__).parent.parent
MAIL = Path(os.environ.get("CONNECTOR_TEST_DATA") or ROOT.parent / "shared" / "data") / "mail"


def bodies() -> Iterator[tuple[str, Body]]:
    """Every text part of every message, and every HTML file, with a name for the report."""
    for path in sorted(MAIL.rglob("*.*")):
        if path.suffix in {".html", ".htm"}:
            yield str(path), Body(_decoded(path.read_bytes(), ""), html=True)
        if path.suffix in {".eml", ".mhtml"}:
            message = email.message_from_bytes(path.read_bytes(), policy=compat32)
            for part in message.walk():
                if part.get_content_maintype() == "text":
                    payload = part.get_payload(decode=True)
                    content = _decoded(payload if isinstance(payload, bytes) else b"", part.get_param("charset"))
                    yield str(path), Body(content, html=part.get_content_subtype() == "html")


def _decoded(content: bytes, charset: object) -> str:
    try:
        return content.decode(str(charset or "utf-8"), "replace")
    except LookupError:
        return content.decode("latin-1")


@pytest.mark.skipif(
    not MAIL.exists() and "CONNECTOR_TEST_DATA" not in os.environ, reason=f"no sample messages at {MAIL}"
)
def test_real_bodies() -> None:
    """Each shows the links, also to a parser that we did not write; taken out, the notice leaves the body as it was."""
    count = 0
    for name, body in bodies():
        shown = insert(body, NOTICE)
        assert shows(shown, NOTICE.urls), name
        assert insert(shown, NOTICE) == shown, name
        assert remove(shown, NOTICE.redirect_id) == body, name
        if body.html:
            # As bytes: lxml refuses a str that declares an encoding.
            tree = lxml_html.document_fromstring(
                shown.content.encode(errors="replace"), parser=lxml_html.HTMLParser(encoding="utf-8")
            )
            assert tree.xpath("//body//div[@data-redirect='R8F2']//a/@href") == list(NOTICE.urls), name
        count += 1
    assert count > 150
