"""The texts for staff and works council: whole in each language, and true of the tenant that they are printed for."""

import io
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
from jinja2 import Environment, meta

from connector.cli import main
from connector.config.files import TESTS
from connector.config.loading import TenantConfig, load
from connector.config.settings import Settings
from connector.plan.tables import FEWEST
from connector.policy import Mode
from connector.policy.conditions import Conditions
from connector.rewrite.languages import LANGUAGES, Code
from connector.rollout import FOLDER, Readers, text, words

CONFIG = Path(__file__).parent.parent / "config"
POLICIES = sorted(each for each in (CONFIG / "policies").glob("*.yaml") if not each.name.endswith(TESTS))
CODES: tuple[Code, ...] = get_args(Code)
EXCHANGE = {
    "type": "ews",
    "url": "https://mail.example.org/EWS/Exchange.asmx",
    "user": "connector@example.org",
    "password": {"env": "PASSWORD"},
    "mailboxes": ["anna@example.org"],
}
APP = {"directory": "example.org", "client": "11111111-2222-3333-4444-555555555555", "secret": {"env": "SECRET"}}
NOTICE = {"product": "Example Files", "organisation": "Example House"}
TENANT: dict[str, Any] = {
    "tenant": "acme",
    "sources": [EXCHANGE],
    "store": {
        "type": "webdav",
        "url": "https://files.example.org/dav/",
        "user": "connector",
        "password": {"env": "PASSWORD"},
    },
    "notice": NOTICE,
}
LINKS = {"url": "https://links.example.org", "database": "sqlite:///links.db", "key": {"env": "KEY"}}
#: All that a text may tell.
FULL: dict[str, Any] = {
    "sources": [
        {**EXCHANGE, "since": "everything"},
        {"type": "graph", "app": APP, "mailboxes": ["dora@example.org"], "exclude": ["council@example.org"]},
        {"type": "teams", "app": APP, "teams": ["Planning"], "redirect": True},
    ],
    "path": "{tenant}/{mailbox}/{subject} {id}",
    "links": LINKS,
    "notice": {**NOTICE, "host": "links.example.org", "desk": "desk@example.org"},
    "exclude": {"mailboxes": ["doctor@example.org"]},
    "keep_when": {"category": "Bitte Behalten", "folder": "Nicht Auslagern"},
    "restore_when": {"category": "Anhang Zurück", "folder": "Zurück/Bitte"},
    "rules": [
        {"name": "text", "when": {"subject": "secret"}, "action": "keep"},
        {"name": "programs", "when": {"true_type": "executable"}, "action": "hold"},
        {"name": "unread", "when": {"read": False}, "action": "keep"},
        {
            "name": "large",
            "when": {"size_over": "10 MB"},
            "action": "redirect",
            "link": {"audience": "anyone", "expires": "90d", "password": True},
            "settle": "24h",
            "retain": {"file": "730d"},
            "overrules_people": True,
            "irreversible": True,
            "keep_original": True,
        },
        {
            "name": "larger",
            "when": {"size_over": "5 MB"},
            "action": "redirect",
            "link": {"audience": "staff"},
        },
    ],
}


def tenant(**settings: Any) -> TenantConfig:
    """A tenant with these settings."""
    return TenantConfig.model_validate({**TENANT, **settings})


def settings(**values: Any) -> Settings:
    """The process of it."""
    return Settings.model_validate({"marker_key": {"env": "MARKER"}, **values})


def read(readers: Readers, code: str) -> str:
    """A text as it is shipped."""
    return (CONFIG / FOLDER / f"{readers}.{code}.md").read_text(encoding="utf-8")


def printed(readers: Readers, code: str, of: TenantConfig, **values: Any) -> str:
    """A text as it is printed, with ordinary spaces."""
    return text(CONFIG, of, settings(**values), readers, code).replace("\u00a0", " ")


def rule(**more: Any) -> dict[str, Any]:
    """A rule that moves large files."""
    return {"name": "large", "when": {"size_over": "10 MB"}, "action": "redirect", **more}


def shape(line: str) -> tuple[str, list[str]]:
    """What a line is, and what it asks for, in whatever order."""
    kind = next((each for each in ("## ", "- ") if line.startswith(each)), "text" if line.strip() else "")
    return ("" if line.startswith("{%") else kind), sorted(re.findall(r"{[%{].*?[%}]}", line))


@pytest.mark.parametrize("readers", Readers)
@pytest.mark.parametrize("code", CODES)
def test_no_language_lacks_a_sentence_or_a_section(readers: Readers, code: Code) -> None:
    """Line by line all languages have the same headings, lists, conditions and placeholders."""
    first = [shape(line) for line in read(readers, CODES[0]).splitlines()]
    assert [shape(line) for line in read(readers, code).splitlines()] == first
    assert sum(kind == "## " for kind, _ in first) >= 7


@pytest.mark.parametrize("readers", Readers)
@pytest.mark.parametrize("code", CODES)
def test_each_line_is_in_the_words_of_its_language(readers: Readers, code: Code) -> None:
    """A sentence that was not translated is found."""
    ours = {line for line in read(readers, code).splitlines() if shape(line)[0] and re.search(r"\w{4}.* \w{4}", line)}
    for other in set(CODES) - {code}:
        shared = ours & set(read(readers, other).splitlines())
        assert all(re.sub(r"{{.*?}}", "", line).strip(" -") == "" for line in shared)


def test_every_placeholder_is_known_and_every_word_is_used() -> None:
    """Also behind conditions that no tenant of these tests meets."""
    texts = [read(readers, code) for readers in Readers for code in CODES]
    asked = set().union(*(meta.find_undeclared_variables(Environment().parse(each)) for each in texts))
    assert asked == set(words(tenant(), settings(), "en"))


@pytest.mark.parametrize("readers", Readers)
@pytest.mark.parametrize("code", CODES)
def test_every_number_is_the_programs_own(readers: Readers, code: Code) -> None:
    """None is written into a text, where it would stay when the program changes."""
    assert not re.search(r"[0-9]", read(readers, code))


@pytest.mark.parametrize("readers", Readers)
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("of", [tenant(), tenant(**FULL)], ids=["bare", "full"])
def test_texts_read_well_whatever_is_configured(readers: Readers, code: Code, of: TenantConfig) -> None:
    """No condition is left over, no name is missing, and no gap shows what was left out."""
    said = printed(readers, code, of)
    assert not re.search(r"[{}]|None|\n\n\n| $", said, re.MULTILINE)
    assert "Example Files" in said
    assert said.endswith("Example House\n")
    assert ("desk@example.org" in said) is bool(of.notice.desk)
    for heading, below in re.findall(r"^(## .*)\n\n(.*)$", said, re.MULTILINE):
        assert below, heading
        assert not below.startswith("## "), heading


@pytest.mark.parametrize("path", POLICIES, ids=[path.stem for path in POLICIES])
def test_texts_are_there_for_every_policy_to_start_with(path: Path, tmp_path: Path) -> None:
    """Their rules and exclusions are listed as they stand there, in all languages."""
    (tmp_path / "tenants").mkdir()
    (tmp_path / "connector.yaml").write_text("marker_key: {env: MARKER}\n")
    (tmp_path / "tenants" / path.name).write_text(path.read_text().replace("/etc/connector/", f"{path.parent}/"))
    (of,) = load(tmp_path).tenants
    for code in CODES:
        assert of.notice.product in printed(Readers.STAFF, code, of)
        lines = set(printed(Readers.WORKS_COUNCIL, code, of).splitlines())
        assert {f"- {each.removeprefix('group:')}" for each in of.exclude.mailboxes} <= lines
        told = [each for each in of.rules if each.mode is Mode.ENFORCE and not each.overrules_people]
        assert {f"- {each.name} ({each.action})" for each in told} <= lines


@pytest.mark.parametrize("code", CODES)
def test_what_people_may_ask_for_is_told_as_they_have_to_write_it(code: Code) -> None:
    """Categories and folders stand there as they are configured, for both readers; left out, nothing is promised."""
    for readers in Readers:
        said = printed(readers, code, tenant(**FULL))
        for word in ("Bitte Behalten", "Nicht Auslagern", "Anhang Zurück", "Zurück/Bitte"):
            assert word in said
        one = printed(readers, code, tenant(keep_when={"category": "Bitte Behalten"}))
        assert "Bitte Behalten" in one
        assert "Anhang Zurück" not in one


@pytest.mark.parametrize("code", CODES)
def test_times_and_sizes_are_those_that_are_configured(code: Code) -> None:
    """Settle, retention, the grace of a sweep, and from which size on, in the words of the language."""
    staff = printed(Readers.STAFF, code, tenant(**FULL))
    hours = {"de": "24 Stunden", "en": "24 hours", "fr": "24 heures", "nl": "24 uur"}[code]
    days = {"de": "Tage", "en": "days", "fr": "jours", "nl": "dagen"}[code]
    assert hours in staff
    assert f"5 {LANGUAGES[code].units[2]}" in staff
    council = printed(Readers.WORKS_COUNCIL, code, tenant(**FULL))
    years = {"de": "Jahre", "en": "years", "fr": "ans", "nl": "jaar"}[code]
    assert f": 2 {years}." in council
    bound = tenant(rules=[rule(retain={"file": "message + 30d", "audit": "18 months"})])
    months = {"de": "Monate", "en": "months", "fr": "mois", "nl": "maanden"}[code]
    assert f": 30 {days}." in printed(Readers.STAFF, code, bound)
    assert f": 18 {months}." in printed(Readers.WORKS_COUNCIL, code, bound)
    assert f": 30 {days}." in council
    assert f" {FEWEST} " in council
    assert f": 14 {days}." in printed(Readers.WORKS_COUNCIL, code, tenant(), sweep={"grace": "14d"})
    none = printed(Readers.STAFF, code, tenant(rules=[rule(settle=0), rule(name="all", when={"name": "*.zip"})]))
    assert f"10 {LANGUAGES[code].units[2]}" not in none
    assert "90 min" in printed(Readers.STAFF, code, tenant(rules=[rule(settle="90min")]))


@pytest.mark.parametrize(
    ("audience", "sentence"),
    [
        ("store", "who has access to the file there"),
        ("owner", "Personal links"),
        ("group", "Group links"),
        ("staff", "Internal links"),
        ("anyone", "Open links"),
    ],
)
def test_who_may_open_links_is_told_of_the_audiences_there_are(audience: str, sentence: str) -> None:
    """And of no other."""
    said = printed(Readers.STAFF, "en", tenant(links=LINKS, rules=[rule(link={"audience": audience})]))
    assert sentence in said
    assert said.count(" links open for everyone") + said.count(" links open ") + said.count("Open links") <= 2
    others = {"Personal links", "Group links", "Internal links", "Open links"} - {sentence}
    assert not any(each in said for each in others)


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ({"subject": "x"}, "look for patterns in the subject"),
        ({"body": "x"}, "look for patterns in the subject"),
        ({"header": "X-Y: z"}, "look for patterns in the subject"),
        ({"macros": True}, "ask what is in a file"),
        ({"infected": True}, "ask what is in a file"),
        ({"disguised": True}, "ask what is in a file"),
        ({"read": True}, "ask whether a message has been read"),
    ],
)
def test_what_rules_look_at_is_told(when: dict[str, Any], sentence: str) -> None:
    """The works council reads `Some rules ...` where one does, and `No rule ...` otherwise."""
    with_it = printed(Readers.WORKS_COUNCIL, "en", tenant(rules=[rule(when=when)]))
    without = printed(Readers.WORKS_COUNCIL, "en", tenant(rules=[rule()]))
    assert f"Some rules {sentence}" in with_it
    assert "Some rules" not in without
    assert without.count("No rule ") == 4  # The fourth says that none overrides what is left alone.


@pytest.mark.parametrize(
    ("links", "audience", "noted"), [(None, "store", False), (LINKS, "store", False), (LINKS, "staff", True)]
)
def test_who_notes_that_a_link_was_opened(links: dict[str, Any] | None, audience: str, *, noted: bool) -> None:
    """Our own pages do, except where they only lead on to the store, which then has its own log."""
    said = printed(Readers.WORKS_COUNCIL, "en", tenant(links=links, rules=[rule(link={"audience": audience})]))
    assert ("a shortened network address" in said) is noted
    assert ("is a matter of Example Files" in said) is not noted


def test_every_condition_is_told_or_is_about_the_message_itself() -> None:
    """A condition that is new has to be thought of: whether it looks into texts, files, or what people do."""
    told = {"subject", "body", "header", "true_type", "disguised", "encrypted", "macros", "infected", "read"}
    plain = {"any", "all", "size_over", "size_under", "name", "extension", "kind", "mailbox", "group", "sender"}
    plain |= {"recipient", "recipients", "recipients_over", "direction", "message_over", "message_under", "label"}
    plain |= {"folder", "younger_than", "older_than", "category", "team", "channel", "chat"}
    assert set(Conditions.model_fields) == told | plain


def test_exclusions_and_rules_are_listed() -> None:
    """Those that no rule overrides, of both kinds of mailboxes; a rule that people cannot overrule is marked."""
    said = printed(Readers.WORKS_COUNCIL, "en", tenant(**FULL)).splitlines()
    assert {"- doctor@example.org", "- council@example.org", "- large (redirect) *", "- larger (redirect)"} <= set(said)
    bare = printed(Readers.WORKS_COUNCIL, "en", tenant())
    assert "No mailbox is excluded so far" in bare


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The configuration as the README says: examples and texts, copied."""
    shutil.copy(CONFIG / "connector.example.yaml", tmp_path / "connector.yaml")
    shutil.copytree(CONFIG / "tenants", tmp_path / "tenants")
    shutil.copytree(CONFIG / FOLDER, tmp_path / FOLDER)
    return tmp_path


class Answer(NamedTuple):
    """How a command ended."""

    code: int
    text: str
    errors: str


def run(folder: Path, *arguments: str) -> Answer:
    """The command, in this process."""
    told, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(told), redirect_stderr(errors):
        patch.setattr(sys, "argv", ["connector", "--config", str(folder), "rollout", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return Answer(ended.value.code, told.getvalue(), errors.getvalue())


def test_the_command_as_a_process(folder: Path) -> None:
    """What it prints is the text and nothing else."""
    command = [sys.executable, "-m", "connector.cli", "--config", str(folder), "rollout", "example"]
    done = subprocess.run([*command, "--language", "de", "--for", "staff"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Betreff: Anhänge und Example Files\n")
    assert "Hilfe: desk@example.org" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("readers", Readers)
@pytest.mark.parametrize("code", CODES)
def test_the_command_prints_each_text(folder: Path, readers: Readers, code: Code) -> None:
    """For the example tenant."""
    (example,) = load(folder).tenants
    assert run(folder, "example", "--language", code, "--for", readers) == Answer(
        0, text(folder, example, settings(), readers, code), ""
    )


@pytest.mark.parametrize(
    ("arguments", "spoilt", "says"),
    [
        (("nobody", "--language", "de"), None, "there is no tenant 'nobody', only example"),
        (("example", "--language", "it"), None, "there are texts in de, en, fr, nl, and none in 'it'"),
        (("example", "--language", "de"), "", "copy them there"),
        (("example", "--language", "de"), "{{ nonsense }}", "'nonsense' is undefined"),
        (("example", "--language", "de"), "{{ 1 / 0 }}", "staff.de.md: division by zero"),
        (("example", "--language", "de"), "a\n{% if %}", "staff.de.md:2: "),
        (("example", "--language", "de"), "für", "it is not UTF-8"),
    ],
)
def test_what_cannot_be_printed_is_told_in_one_sentence(
    folder: Path, arguments: tuple[str, ...], spoilt: str | None, says: str
) -> None:
    """An unknown tenant or language, a text that is missing, or one of the house's own with a mistake: exit code 2."""
    path = folder / FOLDER / "staff.de.md"
    if spoilt is not None:
        path.unlink()
    if spoilt:
        path.write_text(spoilt, encoding="cp1252")
    answer = run(folder, *arguments, "--for", "staff")
    (sentence,) = answer.errors.splitlines()
    assert (answer.code, answer.text) == (2, "")
    assert says in sentence


@pytest.mark.parametrize("readers", Readers)
def test_of_rules_on_trial_nobody_is_told(readers: Readers) -> None:
    """They move nothing, hold nothing and open nothing."""
    link = {"audience": "anyone", "password": True}
    trial = {**rule(link=link, irreversible=True), "name": "trial", "mode": "monitor"}
    held = {**rule(action="hold"), "name": "held", "mode": "monitor", "overrules_people": True}
    alone = tenant(links=LINKS, rules=[rule(when={"size_over": "20 MB"})])
    with_trials = tenant(links=LINKS, rules=[trial, held, rule(when={"size_over": "20 MB"})])
    assert printed(readers, "en", with_trials) == printed(readers, "en", alone)


@pytest.mark.parametrize(("code", "said"), [("en", "1 month"), ("de", "1 Monat"), ("fr", "1 mois"), ("nl", "1 maand")])
def test_a_month_is_a_month(code: Code, said: str) -> None:
    """And no 730 hours."""
    kept = words(tenant(rules=[rule(retain={"file": "1 months"})]), settings(), code)["retention"]
    assert kept.replace("\u00a0", " ") == said
