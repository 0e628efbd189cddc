"""The control page: JSON in, JSON out. `connector.simulator` tells what can be ordered."""

import base64
import json
import random
from dataclasses import dataclass, field
from typing import Any

from connector.simulator.deviations import Deviation
from connector.simulator.faults import Faults, Mishap, Strike, When
from connector.simulator.graph.files.workspace import Usage
from connector.simulator.graph.subscriptions import send_lifecycle
from connector.simulator.mailbox import Attachment, Folder, Item, Mailbox
from connector.simulator.mime_import import message_of
from connector.simulator.organisation import Organisation


@dataclass
class Control:
    """Carries out orders."""

    organisation: Organisation
    faults: Faults = field(default_factory=Faults)

    def report(self) -> dict[str, Any]:
        """What has been seen, and how the server deviates."""
        return {
            "requests": len(self.faults.seen),
            "seen": list(self.faults.seen),
            "early": list(self.organisation.tenant.early),
            "deviations": sorted(self.organisation.deviations),
        }

    def obey_json(self, orders: bytes) -> dict[str, Any]:
        """Carry out orders in JSON; an error is told under `error`."""
        try:
            return self.obey(**json.loads(orders))
        except (KeyError, TypeError, ValueError, LookupError) as error:
            return {"error": f"not understood: {error}"}

    def obey(self, **orders: Any) -> dict[str, Any]:
        """Carry out orders, in their order. Raises ValueError, KeyError or TypeError where one makes no sense."""
        verbs: dict[str, Any] = {
            "reset": self._reset,
            "throttle": self._throttle,
            "drop": self._drop,
            "kill": self._kill,
            "truncate": self._truncate,
            "deviate": self._deviate,
            "lag": self._lag,
            "minute": self._minute,
            "elapse": self._elapse,
            "scope": self._scope,
            "forget_sync_states": self._forget_sync_states,
            "stream": self._stream,
            "cut_streams": self._cut_streams,
            "expire_subscriptions": self._expire_subscriptions,
            "lifecycle": self._lifecycle,
            "single_item_recovery": self._single_item_recovery,
            "forget_recoverable": self._forget_recoverable,
            "roles": self._roles,
            "granted": self._granted,
            "token_lifetime": self._token_lifetime,
            "certificate": self._certificate,
            "revoke": self._revoke,
            "conflicts": self._conflicts,
            "place": self._place,
            "refer": self._refer,
            "resource_units": self._resource_units,
            "forget_drive_tokens": self._forget_drive_tokens,
            "preauthenticated_life": self._preauthenticated_life,
            "deliver": self._deliver,
        }
        told: dict[str, Any] = {}
        for verb, details in orders.items():
            arguments = details if isinstance(details, dict) else {"value": details}
            told.update(verbs[verb](**arguments) or {})
        return told

    def _reset(self, value: bool = True) -> None:  # noqa: FBT001, FBT002 - as it stands in the JSON
        if value:
            self.faults = Faults()
            self.organisation.deviations.clear()
            self.organisation.streams.reset()
            self.organisation.tenant.reset()

    def _throttle(
        self,
        *,
        requests: int = 0,
        back_off: int = 1000,
        status: int = 500,
        retry_after: str = "seconds",
        share: float = 0.0,
        seed: int = 0,
    ) -> None:
        if status not in (200, 429, 500, 503) or retry_after not in ("seconds", "date", "absent"):
            raise ValueError("status is 200, 429, 500 or 503; retry_after is seconds, date or absent")
        faults = self.faults
        faults.turned_away, faults.back_off, faults.status, faults.retry_after = requests, back_off, status, retry_after
        faults.share, faults.chance = share, random.Random(seed)  # noqa: S311 - a test wants the same again

    def _drop(self, *, request: int = 1, when: str = "before") -> None:
        self._arm(request, when, None)

    def _kill(self, *, pid: int, request: int = 1, when: str = "before") -> None:
        self._arm(request, when, pid)

    def _arm(self, request: int, when: str, pid: int | None) -> None:
        self.faults.strikes.append(Strike(len(self.faults.seen) + request, When(when), pid))

    def _truncate(self, *, request: int = 1) -> None:
        self.faults.truncated.add(len(self.faults.seen) + request)

    def _deviate(self, **switches: bool) -> None:
        for name, on in switches.items():
            deviation = Deviation(name)
            (self.organisation.deviations.add if on else self.organisation.deviations.discard)(deviation)

    def _lag(self, value: float) -> None:
        self.organisation.lag = value

    def _minute(self, value: float) -> None:
        self.organisation.minute = value

    def _elapse(self, value: bool = True) -> None:  # noqa: FBT001, FBT002 - as it stands in the JSON
        for mailbox in self.organisation.mailboxes.values() if value else ():
            with mailbox.lock:
                for item in mailbox.items.values():
                    item.before = None
                    item.message.attachments[:] = [each for each in item.message.attachments if each.vanishes is None]

    def _scope(self, value: list[str] | None) -> None:
        self.organisation.scope = None if value is None else {address.lower() for address in value}

    def _forget_sync_states(self, value: bool = True) -> None:  # noqa: FBT001, FBT002 - as it stands in the JSON
        self.organisation.epoch += value

    def _stream(self, *, mishap: str, event: int | None = None) -> None:
        streams = self.organisation.streams
        streams.mishaps[None if event is None else streams.events + event] = Mishap(mishap)

    def _cut_streams(self, value: bool = True) -> None:  # noqa: FBT001, FBT002 - as it stands in the JSON
        self.organisation.streams.cuts += value

    def _expire_subscriptions(self, value: str = "") -> None:
        subscriptions = self.organisation.subscriptions
        for each in [each for each in subscriptions.values() if value in ("", each.mailbox.address)]:
            del subscriptions[each.id]
        of_graph = self.organisation.tenant.subscriptions
        for one in [one for one in of_graph.values() if value in ("", one.mailbox.address)]:
            del of_graph[one.id]

    def _lifecycle(self, *, mailbox: str, event: str) -> None:
        send_lifecycle(self.organisation, mailbox, event)

    def _single_item_recovery(self, value: str) -> None:
        self.organisation.mailboxes[value].recovers = True

    def _forget_recoverable(self, value: str) -> None:
        mailbox = self.organisation.mailboxes[value]
        with mailbox.lock:
            mailbox.forget_recoverable()

    def _roles(self, value: list[str]) -> None:
        self.organisation.tenant.roles = set(value)

    def _granted(self, value: list[str]) -> None:
        self.organisation.tenant.granted = set(value)

    def _token_lifetime(self, value: float) -> None:
        self.organisation.tenant.lifetime = value

    def _certificate(self, value: str) -> None:
        self.organisation.tenant.certificate = value

    def _revoke(self, value: bool = True) -> None:  # noqa: FBT001, FBT002 - as it stands in the JSON
        self.organisation.tenant.revocations += value

    def _conflicts(self, *, share: float, seed: int = 0) -> None:
        tenant = self.organisation.tenant
        tenant.conflicts, tenant.chance = share, random.Random(seed)  # noqa: S311 - a test wants the same again

    def _place(self, *, mailbox: str, place: str) -> None:
        if place not in ("on premises", "cloud", ""):
            raise ValueError("place is on premises, cloud or empty")
        self.organisation.mailboxes[mailbox].place = place

    def _refer(self, *, mailbox: str, item: str, name: str, url: str) -> None:
        found = self.organisation.mailboxes[mailbox]
        with found.lock:
            found.changing(found.items[item]).attachments.append(Attachment(name=name, reference=url))

    def _resource_units(self, *, limit: int, minute: float = 60.0) -> None:
        self.organisation.workspace.usage = Usage(limit, minute)

    def _forget_drive_tokens(self, value: str = "resyncChangesApplyDifferences") -> None:
        self.organisation.workspace.epoch += 1
        self.organisation.workspace.resync = value

    def _preauthenticated_life(self, value: float) -> None:
        workspace = self.organisation.workspace
        workspace.download_life = workspace.upload_life = value

    def _deliver(self, *, mailbox: str, eml: str, folder: str = "Inbox") -> dict[str, Any]:
        item = deliver(self.organisation.mailboxes[mailbox], base64.b64decode(eml), folder)
        return {"item": item.id}


def deliver(mailbox: Mailbox, eml: bytes, folder: str) -> Item:
    """Put a message into a folder, which is made where it does not exist; `/` goes deeper."""
    message = message_of(eml)
    with mailbox.lock:
        target = _folder(mailbox, folder)
        message.draft = target.distinguished == "drafts"
        message.read = target.distinguished in ("sentitems", "drafts")
        return mailbox.deliver(message, target)


def _folder(mailbox: Mailbox, path: str) -> Folder:
    folder = mailbox.distinguished["msgfolderroot"]
    for name in filter(None, path.split("/")):
        known = (each for each in mailbox.children(folder) if each.name.casefold() == name.casefold())
        folder = next(known, None) or mailbox.create_folder(name, folder)
    return folder
