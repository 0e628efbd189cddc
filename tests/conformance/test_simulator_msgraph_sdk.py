"""Microsoft's own library for Graph walks the simulated one to the end: delta, $value, $batch, an upload session."""

import asyncio
import hashlib
from typing import Any

import pytest

from connector.simulator import Exchange
from tests.absent import in_ci
from tests.exchange import Owner
from tests.graph import App, GraphJudge
from tests.test_simulator_graph_mail import ANNA, PDF, letter

if not in_ci():
    pytest.importorskip("msgraph", reason="msgraph-sdk is not installed (the test extra)")

from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    AnonymousAuthenticationProvider,
    BaseBearerTokenAuthenticationProvider,
)
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from msgraph.generated.models.attachment_item import AttachmentItem
from msgraph.generated.models.attachment_type import AttachmentType
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.file_attachment import FileAttachment
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.message import Message
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.users.item.mail_folders.item.messages.delta.delta_request_builder import DeltaRequestBuilder
from msgraph.generated.users.item.messages.item.attachments.create_upload_session import (
    create_upload_session_post_request_body as session_body,
)
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem


class Token(AccessTokenProvider):
    """A token that is there already."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._hosts = AllowedHostsValidator([])

    async def get_authorization_token(self, uri: str, additional_authentication_context: Any = None) -> str:
        return self._token

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return self._hosts


def adapter_for(exchange: Exchange, token: str = "") -> GraphRequestAdapter:
    """Microsoft's adapter; without a token, for URLs that are preauthenticated."""
    login = BaseBearerTokenAuthenticationProvider(Token(token)) if token else AnonymousAuthenticationProvider()
    adapter = GraphRequestAdapter(login)
    adapter.base_url = exchange.graph
    return adapter


def test_it_walks_delta_value_batch_and_upload(
    exchange: Exchange, anna: Owner, app: App, graph_judge: GraphJudge
) -> None:
    """Hashes are equal at every end. The library's only fault: its batches say `depends_on`, which Graph knows not."""
    for _ in range(12):
        exchange.deliver(ANNA, letter())

    asyncio.run(_walk(exchange, app.login().json["access_token"]))

    graph_judge.complaints[:] = [each for each in graph_judge.complaints if "unknown depends_on" not in each]


async def _walk(exchange: Exchange, token: str) -> None:
    adapter = adapter_for(exchange, token)
    user: Any = GraphServiceClient(request_adapter=adapter).users.by_user_id(ANNA)
    found = await _delta(user)
    assert len(found) == 12

    message = user.messages.by_message_id(found[0])
    listed = (await message.attachments.get()).value
    pdf = next(each for each in listed if each.name == "plan.pdf")
    assert isinstance(pdf, FileAttachment)
    assert pdf.content_bytes == PDF
    assert b"Subject: Plans" in await message.content.get()

    body = Message(body=ItemBody(content="<p>new</p>", content_type=BodyType.Html))
    assert (await message.patch(body)).body.content == "<p>new</p>"
    assert await _in_a_batch(adapter, message) == 200
    assert await _uploaded(exchange, message) == hashlib.sha256(_BIG).digest()

    await message.attachments.by_attachment_id(pdf.id).delete()
    with pytest.raises(ODataError) as refused:
        await message.attachments.by_attachment_id(pdf.id).get()
    error: Any = refused.value.error
    assert error.code == "ErrorItemNotFound"


async def _delta(user: Any) -> list[str]:
    """The ids of all messages in the Inbox; afterwards there is no more."""
    delta = user.mail_folders.by_mail_folder_id("inbox").messages.delta
    query = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(select=["id", "subject"])
    page = await delta.get(RequestConfiguration(query_parameters=query))
    found = [each.id for each in page.value]
    while page.odata_next_link:
        page = await delta.with_url(page.odata_next_link).get()
        found += [each.id for each in page.value]
    assert (await delta.with_url(page.odata_delta_link).get()).value == []
    return found


async def _in_a_batch(adapter: GraphRequestAdapter, message: Any) -> int:
    """The status of a request within a batch."""
    asked = message.to_get_request_information()
    item = BatchRequestItem(request_information=asked, id="1")
    item.url = asked.url.removeprefix(adapter.base_url)  # as it comes, it is not relative
    content = BatchRequestContent({"1": item})
    answer = await BatchRequestBuilder(adapter).post(content)
    return int(answer.get_response_by_id("1").status)


_BIG = hashlib.sha512(b"seed").digest() * 70_000
_CHUNK = 3 * 1024 * 1024


async def _uploaded(exchange: Exchange, message: Any) -> bytes:
    """Send a big attachment in a session; the hash of what is there then."""
    asked = session_body.CreateUploadSessionPostRequestBody()
    asked.attachment_item = AttachmentItem(
        attachment_type=AttachmentType.File, name="big.bin", size=len(_BIG), content_type="application/x-big"
    )
    session = await message.attachments.create_upload_session.post(asked)
    for start in range(0, len(_BIG), _CHUNK):
        # Its own upload task stumbles over the second chunk: it reads `nextExpectedRanges` only as OneDrive tells them.
        chunk = RequestInformation(Method.PUT)
        chunk.url = session.upload_url
        chunk.headers.add("Content-Range", f"bytes {start}-{min(start + _CHUNK, len(_BIG)) - 1}/{len(_BIG)}")
        chunk.set_stream_content(_BIG[start : start + _CHUNK])
        await adapter_for(exchange).send_primitive_async(chunk, "bytes", {})
    big = next(each for each in (await message.attachments.get()).value if each.name == "big.bin")
    return hashlib.sha256(big.content_bytes).digest()
