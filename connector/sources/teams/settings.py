"""What an administrator writes about files in Teams, and how it becomes sources."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connector.amounts import Duration
from connector.config.addresses import Server
from connector.log import Event, log
from connector.sources.graph import AppLogin, Connection, Edge
from connector.sources.teams.drive import GraphDrive, Root
from connector.sources.teams.places import Place, Refused, channel_of, chats, teams
from connector.sources.teams.probe import DriveProbe

Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
Name = Annotated[str, Field(min_length=1)]
_PERMISSION = "Files.ReadWrite.All, or Sites.Selected with the role write for its site"


class TeamsShares(BaseModel):
    """Files of Teams in one Microsoft 365 tenant, which one app may open: of channels, and of people's chats.

    What an app cannot do there: write, edit or delete the messages that tell of the files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["teams"]
    app: AppLogin
    teams: tuple[Name, ...] | Literal["all"] = Field(
        (), description="names or ids of teams; or all; asked for once a day"
    )
    chats: tuple[Address, ...] = Field((), description="people whose files in chats belong here too")
    chat_folders: tuple[Name, ...] = Field(
        (), description="names of the folder for files of chats in languages that we do not know"
    )
    exclude: tuple[Name, ...] = Field((), description="teams, TEAM/CHANNEL or people that are left alone in any case")
    redirect: bool = Field(
        False,
        description="true: files give way to pointers where a rule says redirect; otherwise they are only copied",
    )
    quiet: Duration = Field(
        timedelta(minutes=15), description="how long a file must not have changed before we touch it"
    )
    probe: str | None = Field(
        None,
        description="TEAM/CHANNEL for trials alone, where `connector check` makes and deletes files",
        pattern=r"^[^/]+/[^/]+$",
    )
    since: date | Literal["everything"] | None = Field(
        None, description="leave files alone that changed earlier; by default all from before the first contact"
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.teams or self.chats):
            raise ValueError("give teams or chats")
        return self

    @property
    def asks(self) -> bool:
        """Whether `addresses` asks a server."""
        return True

    def addresses(self) -> tuple[str, ...]:
        """The names of the drives that there are by now. Raises Denied, Unavailable.

        One that is refused is told, and stays as it was known; the look-up fails where nothing else answers.

        Where two drives have one name, the one that had it before keeps it; where none had, both are left alone. Or
        whoever may name a team would bring its people into the folder of another one.
        """
        known = {place.drive for place in self._places.values()}
        alike: dict[str, list[Place]] = {}
        for place in self._looked_up():
            alike.setdefault(place.address.casefold(), []).append(place)
        found: dict[str, Place] = {}
        for places in alike.values():
            if len(places) > 1:
                log.error(Event.SOURCE_NAMESAKE, source=places[0].address, drives=[each.drive for each in places])
                places = [each for each in places if each.drive in known]  # noqa: PLW2901 - those that are left
            found |= {each.address: each for each in places[:1] if each.drive}
        self._places.clear()
        self._places.update(found)
        return tuple(self._places)

    def source(self, address: str, _: frozenset[str] = frozenset()) -> GraphDrive:
        """The drive of this name, which `addresses` gave; its feed tells all there is. Nothing is asked of a server."""
        place = self._places[address]

        def roots() -> tuple[Root, ...]:
            now = self._places.get(address, place)
            # The name may be another drive's by now, and its people others.
            return now.roots if now.drive == place.drive else place.roots

        connection = self._connection(address)
        return GraphDrive(place.drive, address, connection, roots, shares_by_item=place.chats)

    def hints(self) -> tuple[()]:
        """None: Graph tells of changes only to an address that it can reach from outside."""
        return ()

    def servers(self) -> tuple[Server, ...]:
        """Whom it speaks to."""
        return self.app.servers()

    def probe_source(self) -> DriveProbe | None:
        """The channel for trials, where one is named. Raises Denied, Unavailable."""
        if self.probe is None:
            return None
        team, _, channel = self.probe.partition("/")
        place = channel_of(self.edge, team, channel)
        return DriveProbe(place.drive, self.probe, self._connection(self.probe), lambda: place.roots)

    def _connection(self, address: str) -> Connection:
        return self.edge.connection(f"the files of {address}", _PERMISSION)

    @cached_property
    def edge(self) -> Edge:
        """What all these drives share."""
        return Edge(self.app, drives=True)

    @cached_property
    def _places(self) -> dict[str, Place]:
        return {}

    def _looked_up(self) -> Iterator[Place]:
        """All places that there are; of what is refused, those that were known, or its name with no drive."""
        told = [*self._asked()]
        places = [each for each in told if isinstance(each, Place)]
        refused = [each for each in told if isinstance(each, Refused)]
        if refused and not places:
            raise refused[0].error
        kept = [each for each in self._places.values() if any(one.covers(each) for one in refused)]
        known = {each.drive: each.address for each in self._places.values()}
        # A shared channel is told of by each team that it is shared with, and a person may be named twice.
        once = {each.drive: each for each in kept}
        for each in sorted(places, key=lambda each: (known.get(each.drive) != each.address, each.address)):
            if not any(one.covers(each) for one in refused):
                once.setdefault(each.drive, each)
        yield from once.values()
        for one in refused:
            log.error(Event.SOURCE_LEFT_OUT, source=one.address, reason=str(one.error))
            if not any(one.covers(each) for each in kept):
                yield Place("", one.address, one.of)

    def _asked(self) -> Iterator[Place | Refused]:
        never = {each.lower() for each in (*self.exclude, self.probe) if each}
        if self.teams:
            yield from teams(self.edge, () if self.teams == "all" else self.teams, never)
        yield from chats(self.edge, [each for each in self.chats if each.lower() not in never], self.chat_folders)
