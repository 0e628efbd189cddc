"""What an operator may set: `connector.yaml` and one file per tenant in `tenants/`, both checked as a whole.

The models of adapters and of the policy stand beside what they configure; here they are only joined.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from connector.config.exports import Holds, Memberships
from connector.config.files import TESTS, files_in, tenant_files, without_effect
from connector.config.problems import checked
from connector.config.regular import regular
from connector.config.settings import Settings, load_settings
from connector.config.yamlfile import ConfigError, Document, Steps, dotted, read
from connector.links.publishing import LinksConfig
from connector.links.settings import LinkSettings
from connector.model import Audience
from connector.names import check_template, home
from connector.policy import Defaults, Exclude, Hold, Mode, People, Pilot, Policy, Rules, Wish, all_reached
from connector.policy.sketch import PolicyTests
from connector.policy.values import Domain, Some, fold, owner_of
from connector.rewrite import House, Wording, try_templates
from connector.rewrite.languages import Code
from connector.scanners.settings import ScannerConfig
from connector.sources.ews import EwsMailboxes
from connector.sources.graph_mail import GraphMailboxes
from connector.sources.teams import TeamsShares
from connector.stores.nextcloud import NextcloudConfig
from connector.stores.webdav import WebdavConfig
from connector.watching.status import Status

T = TypeVar("T")

MailConfig = EwsMailboxes | GraphMailboxes
ShareConfig = TeamsShares
SourceConfig = Annotated[MailConfig | ShareConfig, Field(discriminator="type")]
StoreConfig = Annotated[WebdavConfig | NextcloudConfig, Field(discriminator="type")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# --- tenants/*.yaml -----------------------------------------------------------------------------------------------


class NoticeSettings(House):
    """What the notice in a message says; in which languages, is in `defaults`."""

    templates: Path | None = Field(
        default=None, description="folder with a notice.html.j2 or notice.txt.j2 of your own"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_templates(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("templates"), str):
            return values
        folder = Path(values["templates"])
        found = {field: _text(folder / name) for field, name in _TEMPLATES.items() if (folder / name).exists()}
        if not found:
            raise ValueError(f"templates: {folder} holds none of {', '.join(_TEMPLATES.values())}")
        return values | found

    @model_validator(mode="after")
    def _templates_work(self) -> Self:
        try_templates(Wording.model_construct(**self._said()))
        return self

    def wording(self, languages: tuple[Code, ...]) -> Wording:
        """The same, in these languages."""
        return Wording(languages=languages, **self._said())

    def _said(self) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in House.model_fields}


class OtherNotice(NoticeSettings):
    """Another notice, for rules that name it."""

    languages: tuple[Code, ...] = Field(default=(), description="left out: those of `defaults`")


_TEMPLATES = {"html_template": "notice.html.j2", "text_template": "notice.txt.j2"}


def _text(path: Path) -> str:
    try:
        return regular(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"templates: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"templates: {path} is not UTF-8 text; save it as UTF-8") from None


class HouseSettings(_Section):
    """Who answers for what is done here: for reports alone."""

    controller: str = Field(default="", description="name and contact of the controller (GDPR, article 30(1)(a))")
    dpo: str = Field(default="", description="name and contact of the data protection officer")


class TenantConfig(_Section):
    """One customer: its mailboxes, its store, its notice and its policy."""

    model_config = ConfigDict(title="tenants/*.yaml")

    tenant: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$", description="name of the tenant")
    mode: Mode = Field(
        default=Mode.ENFORCE, description="monitor: only log what the rules would do, and write nothing anywhere"
    )
    house: HouseSettings = HouseSettings()
    domains: Some[Domain] = Field(
        default=(), description="the house's own domains, with their subdomains: all other recipients are external"
    )
    groups: Memberships = Field(
        default={}, description="CSV file with the columns mailbox,group: one line for each group that a mailbox is in"
    )
    holds: Holds = Field(
        default={},
        description="CSV file of Exchange: Get-Mailbox | Select-Object PrimarySmtpAddress,LitigationHoldEnabled,"
        "RetentionHoldEnabled,@{n='InPlaceHolds';e={$_.InPlaceHolds -join ' '}} | Export-Csv",
    )
    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    store: StoreConfig
    links: LinksConfig | None = Field(
        default=None, description="our own link service, for links that the store cannot give, and that outlive it"
    )
    scanner: ScannerConfig | None = Field(default=None, description="a virus scanner: what rules ask with `infected`")
    log_file_names: bool = Field(default=False, description="the log names the files of redirects that end")
    path: str = Field(
        default="{tenant}/{mailbox}/{year}/{month}/{id}",
        description="collection in the store for the files of one message",
    )
    rewrite: Literal["in_place", "replace"] = Field(
        default="in_place",
        description="how messages are edited: in_place; or replace: a copy is edited, and takes the message's place",
    )
    notice: NoticeSettings
    notices: dict[str, OtherNotice] = Field(
        default={}, description="others, which rules name; what one leaves out is as in `notice`"
    )
    retention_holds: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")], ...] = Field(
        default=(), description="mailboxes in which no retention ends, as long as somebody looks into something"
    )
    exclude: Exclude = Exclude()
    keep_when: Wish = Field(default=Wish(), description="whoever a message belongs to has it stay as it is")
    restore_when: Wish = Field(
        default=Wish(), description="whoever a message belongs to has attachments back that were taken out of it"
    )
    people: People = People()
    pilot: Pilot | None = Field(default=None, description="mailboxes for which rules are enforced; left out: all")
    defaults: Defaults = Defaults()
    rules: Annotated[Rules, AfterValidator(all_reached)] = ()

    @model_validator(mode="before")
    @classmethod
    def _inherit_the_notice(cls, values: Any) -> Any:
        """Each of `notices` has what it leaves out from `notice`."""
        usual, others = (values.get(name) if isinstance(values, dict) else None for name in ("notice", "notices"))
        if not isinstance(usual, dict) or not isinstance(others, dict):
            return values
        whole = {name: {**usual, **each} if isinstance(each, dict) else each for name, each in others.items()}
        return {**values, "notices": whole}

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        check_template(value)
        return value

    @model_validator(mode="after")
    def _shared_by_mailbox(self) -> Self:
        if self.store.opens_folders and not self.home("x"):
            raise ValueError(
                "path: on Nextcloud, a folder is shared for each mailbox: put {mailbox} before all words but {tenant}"
            )
        return self

    @property
    def reader_lists(self) -> tuple[Path, ...]:
        """The lists that say whose mailboxes are."""
        named = (getattr(self.store, "readers", None), self.links.readers if self.links else None)
        return tuple(each for each in named if each)

    @property
    def pointers(self) -> bool:
        """Whether links take the place of files in some share."""
        return any(isinstance(each, ShareConfig) and each.redirect for each in self.sources)

    def on_hold(self, address: str) -> bool:
        """Whether somebody has to be able to find everything of a source: then no retention ends there."""
        owner = owner_of(address)
        return bool(self.holds.get(owner)) or owner in map(fold, self.retention_holds)

    def home(self, address: str) -> str:
        """The collection of all files of one source, where the store opens it to its people; "" where it does not."""
        return self._home(self.path, address) if self.store.opens_folders else ""

    def _home(self, template: str, address: str) -> str:
        return home(template, {"tenant": self.tenant, "mailbox": address})

    def is_at_home(self, template: str) -> bool:
        """Whether the people of a mailbox can read what goes there."""
        return not self.store.opens_folders or self._home(template, "x") == self.home("x")

    @cached_property
    def policy(self) -> Policy:
        """What the tenant wants for each file."""
        return Policy(**{name: getattr(self, name) for name in Policy.model_fields})

    @cached_property
    def wording(self) -> Wording:
        """How messages of this tenant speak."""
        return self.notice.wording(self.defaults.notice)

    @cached_property
    def wordings(self) -> Mapping[str, Wording]:
        """The same for each of `notices`."""
        return {name: each.wording(each.languages or self.defaults.notice) for name, each in self.notices.items()}


# --- both together ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration that can be used."""

    settings: Settings
    tenants: tuple[TenantConfig, ...]
    #: By the name of a tenant, that of its file, without `.yaml`.
    files: Mapping[str, str] = field(default_factory=dict)
    #: By the names of other files, what is wrong with them: their tenants cannot be served.
    broken: Mapping[str, ConfigError] = field(default_factory=dict)


def load(folder: Path) -> Config:
    """Read and check everything in the folder. Raises ConfigError with the problems of all files."""
    problems: list[str] = []
    settings = _tried(load_settings, folder, problems)
    tenants, broken = _tenants(folder / "tenants")
    problems += (problem for error in broken.values() for problem in error.problems)
    if settings is None or problems:
        raise ConfigError(*problems)
    return _config(settings, tenants, {})


def load_usable(folder: Path) -> Config:
    """The same for who serves many: what is wrong with the files of one tenant stops no other.

    Raises ConfigError where connector.yaml cannot be used, or no tenant's files.
    """
    settings = load_settings(folder)
    tenants, broken = _tenants(folder / "tenants")
    if not tenants:
        raise ConfigError(*(problem for error in broken.values() for problem in error.problems))
    return _config(settings, tenants, broken)


def reload(folder: Path, still: Callable[[], object]) -> Config:
    """See `load_usable`; once more, while people may be writing it. `still` waits a moment.

    A file that ends within a line, but for a template, is not whole yet. Raises ConfigError too where one changes
    meanwhile. So it is with the lists that tenants name: half a list of holds would let what is on hold go.
    """
    before = _written(folder)
    still()
    config = load_usable(folder)
    if _written(folder) != before:
        raise ConfigError(f"{folder}: somebody is writing there; ask again once the files are whole")
    cut = {
        whose: ConfigError(f"{path}: ends within a line; it may have been cut off")
        for whose, path, text in before
        if text is not None and text[-1:] != b"\n" and path.name not in _TEMPLATES.values()  # HTML may end anywhere.
    }
    if process := cut.get(_OF_ALL):
        raise process
    whole = tuple(each for each in config.tenants if config.files[each.tenant] not in cut)
    return replace(config, tenants=whole, broken={**cut, **config.broken})


#: Stands for the name of a tenant's file where it is connector.yaml.
_OF_ALL = ""


def _written(folder: Path) -> tuple[tuple[str, Path, bytes | None], ...]:
    """What stands in all files, and whose they are; None where one cannot be read, which is told by who needs it."""
    paths = [(_OF_ALL, folder / "connector.yaml")]
    for path in files_in(folder / "tenants"):
        whose = path.name.removesuffix(".yaml").removesuffix(".tests")
        paths += ((whose, each) for each in (path, *_named_by(path)))
    return tuple((whose, path, _bytes(path)) for whose, path in paths)


def _named_by(path: Path) -> Iterator[Path]:
    """The lists and templates that the file of a tenant names, as far as it can be read itself."""
    try:
        values = read(path).values
    except ConfigError:
        return
    notices = values.get("notices")
    sections: list[Any] = [values, *(values.get(name) for name in ("store", "links", "notice"))]
    sections += notices.values() if isinstance(notices, dict) else ()
    for section in sections:
        for name in ("groups", "holds", "readers", "templates") if isinstance(section, dict) else ():
            if isinstance(named := section.get(name), str):
                yield from (Path(named), *(Path(named) / each for each in _TEMPLATES.values()))


def _bytes(path: Path) -> bytes | None:
    try:
        return regular(path).read_bytes()
    except OSError:
        return None


def load_tenant(path: Path) -> TenantConfig:
    """Read and check the file of one tenant, wherever it lies. Raises ConfigError."""
    return _tenant(path)[1]


def schemas() -> Mapping[str, dict[str, Any]]:
    """The JSON schema of each kind of file, and of `connector status --json`, by its name in `config/`."""
    return {
        "connector.schema.json": Settings.model_json_schema(),
        "links.schema.json": LinkSettings.model_json_schema(),
        "status.schema.json": Status.model_json_schema(mode="serialization"),
        "tenant.schema.json": TenantConfig.model_json_schema(),
        "tests.schema.json": PolicyTests.model_json_schema(),
    }


def _config(settings: Settings, tenants: Mapping[str, TenantConfig], broken: Mapping[str, ConfigError]) -> Config:
    return Config(settings, tuple(tenants.values()), {each.tenant: file for file, each in tenants.items()}, broken)


def _tenants(folder: Path) -> tuple[dict[str, TenantConfig], dict[str, ConfigError]]:
    """By the names of their files: the tenants that can be served, and what is wrong with the other files."""
    found: dict[str, tuple[Document, TenantConfig]] = {}
    broken = dict(without_effect(folder))
    for path in tenant_files(folder):
        try:
            found[path.stem] = _tenant(path)
        except ConfigError as error:
            broken[path.stem] = error
    clashing = _clashes(found)
    if not found and not broken:
        broken[""] = ConfigError(f"{folder}: {_without_tenants(folder)}")
    return {file: tenant for file, (_, tenant) in found.items() if file not in clashing}, {**broken, **clashing}


def _without_tenants(folder: Path) -> str:
    if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
        return "is no folder that may be read; check its owner and mode"
    return f"holds no tenant; add a file such as {folder / 'acme.yaml'}"


def _tenant(path: Path) -> tuple[Document, TenantConfig]:
    document = read(path)
    tenant = checked(document, TenantConfig)
    if beyond := [*_beyond_the_store(document, tenant), *_beyond_what_is_known(document, tenant)]:
        raise ConfigError(*beyond)
    if failed := [*_failures(path.with_suffix(TESTS), tenant)]:
        raise ConfigError(*failed)
    return document, tenant


def _failures(path: Path, tenant: TenantConfig) -> Iterator[str]:
    """What the policy does not say although its tests expect it. It needs no tests, and then none fails."""
    if not path.exists():
        return
    document = read(path)
    for number, test in enumerate(checked(document, PolicyTests).tests):
        if failure := test.failure(tenant.policy, tenant.domains, pointers=tenant.pointers):
            yield f"{document.places['tests', number]} tests.{number}: {failure}"


def _beyond_what_is_known(document: Document, tenant: TenantConfig) -> Iterator[str]:
    """What is asked for, and nobody here could answer."""

    def problem(said: str, *steps: str | int) -> str:
        return f"{document.places[steps]} {dotted(steps)}: {said}"

    asked: list[tuple[Steps, frozenset[str]]] = [
        (("rules", number), Policy(rules=(rule,)).asks) for number, rule in enumerate(tenant.rules)
    ]
    groups = [steps for steps, asks in asked if "group" in asks]
    groups += [("exclude", "mailboxes")] if tenant.exclude.groups else []
    groups += [("pilot", "groups")] if tenant.pilot and tenant.pilot.groups else []
    for steps in () if tenant.groups else groups:
        yield problem("asks for groups, and none are known: name a CSV file under `groups`", *steps)
    for steps in () if tenant.domains else [steps for steps, asks in asked if "recipients" in asks]:
        yield problem("asks who is external: name the house's own domains under `domains`", *steps)
    for steps in () if tenant.scanner else [steps for steps, asks in asked if "infected" in asks]:
        yield problem("asks a virus scanner (`infected`), and none is known: name one under `scanner`", *steps)
    of_mailboxes = {Hold.LITIGATION, Hold.RETENTION} & set(tenant.exclude.hold)
    if of_mailboxes and not tenant.holds:
        yield problem("which mailboxes are on hold is not known: name a CSV file under `holds`", "exclude", "hold")
    if tenant.holds and not of_mailboxes:
        yield problem("nothing excludes these: add `exclude: {hold: [litigation, retention]}`", "holds")
    if tenant.exclude.identity and not (tenant.store.opens_folders or tenant.reader_lists):
        yield problem("nothing says whose mailboxes are: name a list under `links.readers`", "exclude", "identity")


def _beyond_the_store(document: Document, tenant: TenantConfig) -> Iterator[str]:
    """What rules ask for, and the tenant's store or section does not have."""
    able = frozenset(Audience) if tenant.links else tenant.store.audiences
    for number, rule in enumerate(tenant.rules):
        if rule.link.audience not in able:
            steps: Steps = ("rules", number, "link", "audience")
            yield (
                f"{document.places[steps]} {dotted(steps)}: the store has no links for the audience"
                f" {rule.link.audience.value!r}, only for {', '.join(sorted(able))}; a link service has, see `links`"
            )
        elif tenant.links and rule.link.audience is not Audience.STORE and not tenant.store.one_account:
            steps = ("rules", number, "link", "audience")
            yield (
                f"{document.places[steps]} {dotted(steps)}: the pages of `links` read files by one login, and with"
                " `appapi` these lie with many accounts: give it the audience store, or leave out one of the two"
            )
        if rule.destination and not tenant.is_at_home(rule.destination):
            steps = ("rules", number, "destination")
            yield (
                f"{document.places[steps]} {dotted(steps)}: on Nextcloud, a folder is shared for each mailbox: let this"
                " begin as `path` does, up to the part with {mailbox}"
            )
        if rule.notice and rule.notice not in tenant.notices:
            steps = ("rules", number, "notice")
            yield f"{document.places[steps]} {dotted(steps)}: `notices` has none named {rule.notice!r}: add it there"
        if rule.tags and not tenant.store.has_tags:
            steps = ("rules", number, "tags")
            yield (
                f"{document.places[steps]} {dotted(steps)}: on a store of the type {tenant.store.type}, files bear no"
                " tags: leave them out, or let the store be a Nextcloud"
            )


def _tried(make: Callable[[Path], T], path: Path, problems: list[str]) -> T | None:
    try:
        return make(path)
    except ConfigError as error:
        problems += error.problems
        return None


def _clashes(found: Mapping[str, tuple[Document, TenantConfig]]) -> dict[str, ConfigError]:
    """What only shows side by side: two tenants of one name, one mailbox in two places. The later is wrong."""
    taken: dict[str, str] = {}
    clashing: dict[str, ConfigError] = {}
    for file, (document, tenant) in found.items():
        claimed = [(document.places[steps], steps, what) for steps, what in _claims(tenant)]
        problems = []
        for place, steps, what in claimed:
            if other := taken.get(what):
                problems.append(f"{place} {dotted(steps)}: {what} is already at {other}")
            taken.setdefault(what, place)
        if problems:
            clashing[file] = ConfigError(*problems)
    return clashing


def claims(tenant: TenantConfig) -> frozenset[str]:
    """What only one may have: its name, its mailboxes, the addresses where it is told of changes."""
    return frozenset(what for _, what in _claims(tenant))


def _claims(tenant: TenantConfig) -> Iterator[tuple[Steps, str]]:
    yield ("tenant",), f"tenant {tenant.tenant}"
    for number, source in enumerate(tenant.sources):
        if isinstance(source, ShareConfig):
            for place, person in enumerate(source.chats):
                yield ("sources", number, "chats", place), f"chats of {person.lower()}"
            continue
        for place, mailbox in enumerate(source.mailboxes):
            yield ("sources", number, "mailboxes", place), f"mailbox {mailbox.lower()}"
        if source.probe:
            yield ("sources", number, "probe"), f"mailbox {source.probe.lower()}"
        if isinstance(source, GraphMailboxes) and (told := source.notifications):
            yield ("sources", number, "notifications", "listen"), f"the address {told.listen.lower()}"
            yield ("sources", number, "notifications", "url"), f"the address {told.url.lower()}"
