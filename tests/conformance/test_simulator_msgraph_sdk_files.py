"""Microsoft's own library for Graph walks a simulated drive to the end: delta, a download, an upload session."""

import asyncio
from io import BytesIO
from typing import Any

import pytest

from connector.simulator import Deviation, Exchange
from connector.simulator.content import Seeded
from connector.simulator.graph.files.drive import Drive
from connector.simulator.graph.files.quickxor import quick_xor
from connector.simulator.graph.files.transfer import PART
from tests.absent import in_ci
from tests.graph import App, GraphJudge

if not in_ci():
    pytest.importorskip("msgraph", reason="msgraph-sdk is not installed (the test extra)")

from msgraph.generated.drives.item.items.item.create_upload_session import (
    create_upload_session_post_request_body as session_body,
)
from msgraph.generated.models.drive_item_uploadable_properties import DriveItemUploadableProperties
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core.tasks.large_file_upload import LargeFileUploadTask

from tests.conformance.test_simulator_msgraph_sdk import adapter_for


def test_it_walks_a_drive(exchange: Exchange, app: App, graph_judge: GraphJudge) -> None:
    """All files come, over many pages, with equal hashes; what went up is what is there."""
    drive = exchange.add_team("Plans", {"anna@example.org": "owner"}).drive
    for number in range(450):
        drive.upload(f"General/{number % 3}/{number}.bin", b"%d" % number)
    exchange.order(deviate={Deviation.TOLERANT_URLS: True})

    asyncio.run(_walk(exchange, drive, app.login().json["access_token"]))

    assert graph_judge.judged > 5


async def _walk(exchange: Exchange, drive: Drive, token: str) -> None:
    adapter = adapter_for(exchange, token)
    found: Any = GraphServiceClient(request_adapter=adapter).drives.by_drive_id(drive.id)
    delta = found.items.by_drive_item_id("root").delta
    page = await delta.with_url(f"{exchange.graph}/drives/{drive.id}/root/delta").get()
    items = list(page.value)
    while page.odata_next_link:
        page = await delta.with_url(page.odata_next_link).get()
        items += page.value
    files = [each for each in items if each.file is not None]
    assert len(files) == 450
    for each in files[::90]:
        content = await found.items.by_drive_item_id(each.id).content.get()
        assert quick_xor([content]) == each.file.hashes.quick_xor_hash
    assert (await delta.with_url(page.odata_delta_link).get()).value == []

    big = b"".join(Seeded(3 * PART + 7, seed=1).chunks())
    asked = session_body.CreateUploadSessionPostRequestBody(item=DriveItemUploadableProperties(name="big.bin"))
    name = f"{drive.at('General').id}:/big.bin:"
    session = await found.items.by_drive_item_id(name).create_upload_session.post(asked)
    # Part by part: by itself, the library sends one part too many.
    task = LargeFileUploadTask(session, adapter_for(exchange), BytesIO(big), max_chunk_size=2 * PART)
    first: Any = await task.next_chunk(task.stream, 0, 2 * PART - 1)
    task.next_range = first.next_expected_ranges[0]
    await task.next_chunk(task.stream)
    (new,) = [each for each in (await delta.with_url(page.odata_delta_link).get()).value if each.file]
    assert new.file.hashes.quick_xor_hash == quick_xor([big])
    assert b"".join(drive.find(new.id).version.content.chunks()) == big
