"""The laws of Nextcloud's API for shares, and of its links, row by row as they were observed (webdav.md 1 and 3).

A live server lets an account make 20 shares in ten minutes: so the laws make few, and skip where none are left.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from lxml import etree

from tests.nextcloud import DAV, OC, SHARES, Account, At, Law, Need, data, exception, hold, message, places

PASSWORD = "Correct-horse-7-battery"
LAWS: list[Law] = []
MAIL, USER, GROUP = 4, 0, 1


def law(section: str, says: str, *needs: Need) -> Callable[[Callable[[At], None]], Callable[[At], None]]:
    """Add a law to the table."""

    def added(check: Callable[[At], None]) -> Callable[[At], None]:
        LAWS.append(Law(section, says, check, frozenset(needs)))
        return check

    return added


def day(ahead: int) -> str:
    """A date so many days from today."""
    return (datetime.now(UTC) + timedelta(days=ahead)).date().isoformat()


@dataclass(frozen=True)
class Row:
    """A share that is asked for: its status, and a part of what is said or some of what it then is."""

    says: str
    values: dict[str, Any]
    status: int
    told: str | dict[str, Any] = ""
    #: What the administrator has set.
    policy: dict[str, Any] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()

    def check(self, at: At) -> None:
        """Ask for it."""
        for name, value in self.policy.items():
            setattr(at.server.cloud.settings, name, value)
        answer = at.share(**{"name": "old.bin"} | self.values)
        assert answer.status_code == self.status, answer.text
        if isinstance(self.told, str):
            assert self.told in message(answer)
        else:
            made = data(answer)
            assert {name: made[name] for name in self.told} == self.told


SET = (Need.CONTROL,)
ENFORCED = {"link_expiry_days": 7, "link_expiry_enforced": True}
ROWS = [
    Row("for reading, and the right to share is added", {"permissions": 1}, 200, {"permissions": 17}),
    Row("for everything, of a file", {"permissions": 31}, 200, {"permissions": 19}),
    Row("for everything, of a folder", {"name": "sub", "permissions": 15}, 200, {"permissions": 31}),
    Row("for dropping files", {"name": "sub", "permissions": 4}, 200, {"permissions": 4}),
    Row("for dropping files, of a file", {"permissions": 4}, 400,
        "Share must at least have READ or CREATE permissions"),
    Row("for uploading, of a file", {"publicUpload": "true"}, 400),
    Row("of nothing", {"name": "no.bin"}, 404, "Wrong path, file/folder does not exist"),
    Row("of an unknown type", {"kind": 99}, 400, "Unknown share type"),
    Row("with a short password", {"password": "abc"}, 400, needs=SET, told="at least 10 characters"),
    Row("with a common password", {"password": "password123"}, 400, needs=SET, told="most common ones"),
    Row("until yesterday", {"expireDate": day(-1)}, 404, "Expiration date is in the past"),
    Row("until today", {"expireDate": day(0)}, 404, "Expiration date is in the past"),
    Row("until something that is no date", {"expireDate": "soon"}, 404, "Invalid date. Format must be YYYY-MM-DD"),
    Row("until a time, of which the date stays", {"expireDate": f"{day(9)}T23:30:00-08:00"}, 200,
        {"expiration": f"{day(9)} 00:00:00"}),
    Row("with a label that is too long", {"label": "a" * 256}, 400, "Maximum label length is 255"),
    Row("with a long note, and an emoji in its label", {"note": "n" * 5000, "label": "📎"}, 200,
        {"note": "n" * 5000, "label": "📎"}),
    Row("with attributes that are no JSON", {"attributes": "["}, 400),
    Row("without the password that is enforced", {}, 403, "Passwords are enforced for link and mail shares",
        {"link_password_enforced": True}, SET),
    Row("without the expiry that is enforced: it is set", {}, 200, {"expiration": f"{day(7)} 00:00:00"}, ENFORCED, SET),
    Row("too long, where the expiry is enforced", {"expireDate": day(8)}, 404,
        "Cannot set expiration date more than 7 days in the future", ENFORCED, SET),
    Row("for ever, where the expiry is enforced: it is set", {"expireDate": ""}, 200,
        {"expiration": f"{day(7)} 00:00:00"}, ENFORCED, SET),
    Row("without an expiry, where there is one by default", {}, 200, {"expiration": f"{day(7)} 00:00:00"},
        {"link_expiry_days": 7}, SET),
    Row("for ever, where there is an expiry by default", {"expireDate": ""}, 200, {"expiration": None},
        {"link_expiry_days": 7}, SET),
    Row("as a link, where there are none", {}, 404, "Public link sharing is disabled by the administrator",
        {"links_enabled": False}, SET),
    Row("where nothing is shared", {}, 404, "Share API is disabled", {"api_enabled": False}, SET),
    Row("with an unknown account", {"kind": USER, "shareWith": "nobody-of-that-name"}, 404,
        "Please specify a valid account to share with"),
    Row("with nobody", {"kind": USER}, 404, "Please specify a valid account to share with"),
    Row("with an unknown group", {"kind": GROUP, "shareWith": "no-such-group"}, 404, "Please specify a valid group"),
    Row("with a group of others, where only groups of one's own are allowed", {"kind": GROUP, "shareWith": "others"},
        403, "Failed to create share.", {"only_group_members": True}, SET),
    Row("by mail to what is no address", {"kind": MAIL, "shareWith": "no address"}, 404,
        "Please specify a valid email address"),
    Row("with a server that cannot be reached", {"kind": 6, "shareWith": "a@cloud.invalid"}, 403, needs=SET),
    Row("with a circle that is none", {"kind": 7, "shareWith": "no-such-circle"}, 500, needs=SET),
    Row("with a room, without Talk", {"kind": 10, "shareWith": "room"}, 403, needs=SET),
]  # fmt: skip
LAWS += [Law("3", f"a share {row.says}", row.check, frozenset(row.needs)) for row in ROWS]


@law("3", "a public link with everything that create knows")
def whole_link(at: At) -> None:
    """As text, and with the hash of its password."""
    made = data(at.share(password=PASSWORD, expireDate=day(9), label="mail 42", note="for you"))
    assert isinstance(made["id"], str)
    assert {"share_type": 3, "permissions": 17, "label": "mail 42", "note": "for you"}.items() <= made.items()
    assert (made["path"], made["item_type"]) == (at.path("old.bin"), "file")
    assert made["share_with"].startswith("3|$argon2id")
    assert made["password"] == made["share_with"]
    assert made["url"].endswith(f"/s/{made['token']}")
    file_id = at.properties("old.bin", f"{OC}fileid")[f"{OC}fileid"]
    assert str(made["file_source"]) == str(made["item_source"]) == file_id


@law("3", "create passes over what only update knows")
def ignored_fields(at: At) -> None:
    """HideDownload and token; update takes the first, and the second where that is allowed."""
    made = data(at.share(hideDownload="true", token="own-token"))
    assert (made["hide_download"], made["token"] == "own-token") == (0, False)
    changed = data(at.ocs("PUT", f"{SHARES}/{made['id']}", json={"hideDownload": "true"}))
    assert changed["hide_download"] == 1


@law("3", "a token of one's own", Need.CONTROL)
def own_token(at: At) -> None:
    """403 where the administrator does not allow it."""
    share = f"{SHARES}/{data(at.share())['id']}"
    answer = at.ocs("PUT", share, json={"token": "owntoken"})
    assert (answer.status_code, message(answer)) == (
        403,
        "Custom share link tokens have been disabled by the administrator",
    )
    at.server.cloud.settings.custom_tokens = True
    assert data(at.ocs("PUT", share, json={"token": "owntoken"}))["token"] == "owntoken"


@law("1.8, 3", "the same public link again is another one")
def link_again(at: At) -> None:
    """With an id and a token of its own."""
    one, two = data(at.share()), data(at.share())
    assert (one["id"] == two["id"], one["token"] == two["token"]) == (False, False)


@law("1.8, 3", "the same share with an account again is the same one", Need.OTHER)
def user_again(at: At) -> None:
    """And no mail is sent again."""
    ask = partial(at.share, kind=USER, shareWith=at.other.user)
    assert data(ask())["id"] == data(ask())["id"]
    assert data(ask())["mail_send"] == 0


@law("3", "the same share with a group again is the same one", Need.CONTROL)
def group_again(at: At) -> None:
    """Both see it."""
    ask = partial(at.share, kind=GROUP, shareWith="sales")
    made = data(ask())
    assert made["id"] == data(ask())["id"]
    assert at.ask("GET", f"/remote.php/dav/files/{at.other.user}/old.bin", who=at.other).content == b"old"


@law("1.8, 3", "the same share by mail again is refused", Need.CONTROL)
def mail_again(at: At) -> None:
    """403, and no more is said."""
    ask = partial(at.share, kind=MAIL, shareWith="someone@example.net", sendMail="false")
    assert data(ask())["mail_send"] == 0
    again = ask()
    assert (again.status_code, message(again)) == (403, "Failed to create share.")


@law("3", "a share with oneself")
def oneself(at: At) -> None:
    """403."""
    answer = at.share(kind=USER, shareWith=at.one.user)
    assert (answer.status_code, message(answer)) == (403, "Cannot share with yourself")


@law("1.7, 3", "an address, or an id in the wrong case, makes a share that nobody sees", Need.CONTROL)
def ghosts(at: At) -> None:
    """200, and what was said is kept as it is."""
    user = at.server.cloud.users[at.other.user]
    for ghost in (user.email, user.id.upper()):
        assert data(at.share(kind=USER, shareWith=ghost))["share_with"] == ghost
        assert data(at.ocs("GET", SHARES, params={"shared_with_me": "true"}, who=at.other)) == []
        assert at.ask("GET", f"/remote.php/dav/files/{user.id}/old.bin", who=at.other).status_code == 404
    made = data(at.share(kind=USER, shareWith=user.id))
    told = data(at.ocs("GET", SHARES, params={"shared_with_me": "true"}, who=at.other))
    assert [each["id"] for each in told] == [made["id"]]


@law("1.7, 3", "an id is found by address, name and case", Need.OTHER)
def sharees(at: At) -> None:
    """So that no ghost is made."""
    asked = {"itemType": "file", "lookup": "false", "perPage": "5", "search": at.other.user.upper()}
    told = data(at.ocs("GET", "apps/files_sharing/api/v1/sharees", params=asked))
    (found,) = (each for each in told["exact"]["users"] if each["value"]["shareWith"] == at.other.user)
    assert found["shareWithDisplayNameUnique"]


@law("3", "an account is found by its address and by its name too", Need.CONTROL)
def sharees_by_address(at: At) -> None:
    """In any case."""
    user = at.server.cloud.users[at.other.user]
    for wanted in (user.email, user.email.upper(), user.name):
        told = data(at.ocs("GET", "apps/files_sharing/api/v1/sharees", params={"search": wanted, "itemType": "file"}))
        assert [each["value"]["shareWith"] for each in told["exact"]["users"]] == [user.id]


@law("3", "an account that is found says its own address, not by which name it was found", Need.CONTROL)
def whose_address_it_is(at: At) -> None:
    """Its id where it has none. What somebody added to a profile is said as one, until asked by the id [code]."""
    user, eve = at.server.cloud.users[at.other.user], at.server.cloud.add_user("eve", name="anna@example.org")

    def told(wanted: str) -> dict[str, str]:
        found = data(at.ocs("GET", "apps/files_sharing/api/v1/sharees", params={"search": wanted, "itemType": "file"}))
        return {each["value"]["shareWith"]: each["shareWithDisplayNameUnique"] for each in found["exact"]["users"]}

    assert told(user.email) == {user.id: user.email, "eve": "eve@example.org"}
    eve.email, eve.name = "", "Eve"
    assert told("eve") == {"eve": "eve"}
    eve.added.append("Somebody@example.net")
    assert told("somebody@example.net") == {"eve": "somebody@example.net"}
    assert told("eve") == {"eve": "eve"}
    eve.enabled = False
    assert told("Eve") == {"eve": "eve"}
    assert told(at.server.cloud.users[at.one.user].email) == {}


@law("code", "what is shared with people ends as public links do", Need.OTHER, Need.CONTROL)
def internal_expiry(at: At) -> None:
    """By a default that whoever shares may leave out, or take away afterwards; an end that is enforced stays."""
    settings, who = at.server.cloud.settings, at.other.user
    settings.internal_expiry_days = 7
    made = data(at.share("sub", USER, shareWith=who))
    assert made["expiration"] == f"{day(7)} 00:00:00"
    assert data(at.ocs("PUT", f"{SHARES}/{made['id']}", json={"expireDate": ""}))["expiration"] is None
    assert data(at.share(kind=USER, shareWith=who, expireDate=""))["expiration"] is None
    settings.internal_expiry_enforced = True
    made = data(at.share("", USER, shareWith=who, expireDate=""))
    assert made["expiration"] == f"{day(7)} 00:00:00"
    answer = at.ocs("PUT", f"{SHARES}/{made['id']}", json={"expireDate": ""})
    assert (answer.status_code, message(answer)) == (400, "Failed to update share.")
    told = data(at.ocs("GET", "cloud/capabilities"))["capabilities"]["files_sharing"]["public"]
    assert told["expire_date_internal"] == {"enabled": True, "days": 7, "enforced": True}


@law("code", "where people are asked, what is shared with them is nowhere before", Need.OTHER, Need.CONTROL)
def accepted(at: At) -> None:
    """`sharing.enable_share_accept`: whoever shares sees no difference."""
    at.server.cloud.settings.accept_first = True
    made = data(at.share("sub", USER, shareWith=at.other.user))

    def received() -> list[str]:
        return [each["id"] for each in data(at.ocs("GET", SHARES, params={"shared_with_me": "true"}, who=at.other))]

    assert (received(), data(at.ocs("GET", f"{SHARES}/{made['id']}"))[0]["id"]) == ([], made["id"])
    assert at.ocs("POST", f"{SHARES}/pending/{made['id']}").status_code == 404
    for _ in "twice":
        assert data(at.ocs("POST", f"{SHARES}/pending/{made['id']}", who=at.other)) == []
    assert received() == [made["id"]]


@law("3", "a share of a locked file is not deleted", Need.CONTROL)
def locked_share(at: At) -> None:
    """404 [code]: as if there were none."""
    share = f"{SHARES}/{data(at.share())['id']}"
    at.server.cloud.lock_file(at.one.user, at.path("old.bin"))
    answer = at.ocs("DELETE", share)
    assert (answer.status_code, message(answer)) == (404, "Could not delete share")
    assert data(at.ocs("GET", share))


@law("code", "the shares of a locked folder are not listed, and none is added", Need.CONTROL)
def locked_folder(at: At) -> None:
    """404, as if there were no folder."""
    made = data(at.share("sub"))
    at.server.cloud.lock_file(at.one.user, at.path("sub"))
    answer = at.ocs("GET", SHARES, params={"path": at.path("sub")})
    assert (answer.status_code, message(answer)) == (404, "Could not lock node")
    answer = at.share("sub")
    assert (answer.status_code, message(answer)) == (404, "Could not create share")
    assert made["id"] in {each["id"] for each in data(at.ocs("GET", SHARES))}
    assert at.dav("PROPFIND", "sub", {"Depth": "0"}).status_code == 207


@law("3", "a path that is not said")
def no_path(at: At) -> None:
    """404."""
    answer = at.ocs("POST", SHARES, json={"shareType": 3})
    assert (answer.status_code, message(answer)) == (404, "Please specify a file or folder path")


@law("1.3, 3", "the 21st share within ten minutes", Need.CONTROL)
def rate_limit(at: At) -> None:
    """429 without a word; attempts that failed count; each account has a budget of its own."""
    for number in range(20):
        assert at.share("no.bin" if number % 2 else "old.bin").status_code == (404 if number % 2 else 200)
    answer = at.share()
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (429, b"", "0")
    assert "retry-after" not in answer.headers
    at.ask("PUT", f"/remote.php/dav/files/{at.other.user}/a.bin", who=at.other, content=b"a")
    assert at.ocs("POST", SHARES, json={"path": "/a.bin", "shareType": 3}, who=at.other).status_code == 200
    assert at.ocs("GET", SHARES).status_code == 200
    at.server.cloud.ahead += 601
    assert at.share().status_code == 200


@law("1.3", "an address that is allowed has no limit where the administrator says so", Need.CONTROL)
def no_rate_limit(at: At) -> None:
    """Allowing it is not enough."""
    settings = at.server.cloud.settings
    settings.allowed = {"127.0.0.1"}
    assert [at.share().status_code for _ in range(21)][-1] == 429
    settings.rate_limit_too = True
    assert at.share().status_code == 200


@law("3", "version 1 says 200 to all that is no error of HTTP")
def version_1(at: At) -> None:
    """100 is good there."""
    answer = at.ocs("POST", SHARES, version=1, json={"path": at.path("no.bin"), "shareType": 3})
    assert (answer.status_code, answer.json()["ocs"]["meta"]["statuscode"]) == (200, 404)
    answer = at.ocs("GET", "cloud/user", version=1)
    assert (answer.status_code, answer.json()["ocs"]["meta"]["statuscode"]) == (200, 100)
    assert at.ocs("GET", "cloud/user", version=1, who=None).status_code == 401


@law("3", "without a wish for JSON, there is XML")
def xml(at: At) -> None:
    """With the same data."""
    answer = at.ask("GET", "/ocs/v2.php/cloud/user", {"OCS-APIRequest": "true"})
    root = etree.fromstring(answer.content)
    assert (root.findtext("meta/statuscode"), root.findtext("meta/status")) == ("200", "ok")
    assert str(root.findtext("data/id")).lower() == at.one.user.lower()


@law("3", "a form does as well as JSON")
def form(at: At) -> None:
    """For a share that is refused, as none is needed."""
    answer = at.ocs("POST", SHARES, data={"path": at.path("no.bin"), "shareType": "3"})
    assert (answer.status_code, message(answer)) == (404, "Wrong path, file/folder does not exist")


@law("3", "what update says")
def update(at: At) -> None:
    """Several fields at once; empty ones clear."""
    share = f"{SHARES}/{data(at.share(password=PASSWORD, expireDate=day(9)))['id']}"
    told = data(at.ocs("PUT", share, json={"label": "new", "note": "n", "expireDate": day(8)}))
    assert (told["label"], told["note"], told["expiration"]) == ("new", "n", f"{day(8)} 00:00:00")
    told = data(at.ocs("PUT", share, json={"expireDate": "", "password": ""}))
    assert (told["expiration"], told["password"]) == (None, None)
    answer = at.ocs("PUT", share, json={})
    assert (answer.status_code, message(answer)) == (400, "Wrong or no update parameter given")
    assert at.ocs("PUT", share, json={"password": "abc"}).status_code == 400
    assert at.ocs("PUT", f"{SHARES}/999999999", json={"note": "n"}).status_code == 404


@law("3", "a recipient may not change a share", Need.OTHER)
def foreign_update(at: At) -> None:
    """403."""
    share = f"{SHARES}/{data(at.share(kind=USER, shareWith=at.other.user))['id']}"
    answer = at.ocs("PUT", share, json={"note": "n"}, who=at.other)
    assert (answer.status_code, message(answer)) == (403, "You are not allowed to edit incoming shares")


@law("3", "a share is deleted once")
def delete(at: At) -> None:
    """Then it is 404."""
    share = f"{SHARES}/{data(at.share())['id']}"
    assert at.ocs("DELETE", share).status_code == 200
    assert at.ocs("DELETE", share).status_code == 404


@law("3", "another one's share", Need.OTHER)
def foreign_share(at: At) -> None:
    """It is not deleted, 403; and not shown, 404, not even to administrators."""
    share = f"{SHARES}/{data(at.share())['id']}"
    answer = at.ocs("DELETE", share, who=at.other)
    assert (answer.status_code, message(answer)) == (403, "Could not delete share")
    assert at.ocs("GET", share, who=at.other).status_code == 404


@law("3", "what a recipient gives up is gone for the owner", Need.OTHER)
def given_up(at: At) -> None:
    """404."""
    share = f"{SHARES}/{data(at.share(kind=USER, shareWith=at.other.user))['id']}"
    assert at.ocs("DELETE", share, who=at.other).status_code == 200
    assert at.ocs("GET", share).status_code == 404


@law("3", "shares are listed by path, and one by its id is a list")
def listed(at: At) -> None:
    """With labels; those below a folder on request; and all of one's own."""
    made = data(at.share(label="mail 42"))
    for asked in ({"path": at.path("old.bin"), "reshares": "true"}, {"path": at.path(), "subfiles": "true"}):
        told = data(at.ocs("GET", SHARES, params=asked))
        assert [(each["id"], each["label"]) for each in told] == [(made["id"], "mail 42")]
    assert data(at.ocs("GET", SHARES, params={"path": at.path("sub")})) == []
    assert made["id"] in [each["id"] for each in data(at.ocs("GET", SHARES))]
    assert [each["id"] for each in data(at.ocs("GET", f"{SHARES}/{made['id']}"))] == [made["id"]]
    assert at.ocs("GET", SHARES, params={"path": at.path("no.bin")}).status_code == 404


@law("3", "a share follows its file, and goes with it")
def follows(at: At) -> None:
    """404 for share and link then."""
    made = data(at.share())
    at.dav("MOVE", "old.bin", at.to("sub/new.bin"))
    assert data(at.ocs("GET", f"{SHARES}/{made['id']}"))[0]["path"] == at.path("sub/new.bin")
    at.dav("DELETE", "sub/new.bin")
    assert at.ocs("GET", f"{SHARES}/{made['id']}").status_code == 404
    assert at.ask("GET", f"/index.php/s/{made['token']}", who=None).status_code == 404


@law("3", "a share that has expired", Need.CONTROL)
def expired(at: At) -> None:
    """404 for the share, 503 for its files."""
    made = data(at.share(expireDate=day(2)))
    at.server.cloud.ahead += 3 * 86400
    assert at.ocs("GET", f"{SHARES}/{made['id']}").status_code == 404
    assert at.ask("GET", f"/public.php/dav/files/{made['token']}", who=None).status_code == 503


# --- links --------------------------------------------------------------------------------------------------------


@law("3", "a public link of a file")
def public_file(at: At) -> None:
    """Page, download and file; by name it is not found."""
    token = data(at.share())["token"]
    get = partial(at.ask, "GET", who=None)
    assert get(f"/index.php/s/{token}").status_code == get(f"/s/{token}").status_code == 200
    download = get(f"/s/{token}/download")
    assert download.status_code == 303
    assert download.headers["Location"].endswith(f"/public.php/dav/files/{token}/?accept=zip")
    for path in (f"/public.php/dav/files/{token}", f"/public.php/dav/files/{token}/?accept=zip"):
        assert get(path).content == b"old"
    assert get(f"/public.php/dav/files/{token}/old.bin").status_code == 404
    assert at.ask("GET", "/public.php/webdav", who=Account(token, "")).content == b"old"


@law("3", "a public link of a folder")
def public_folder(at: At) -> None:
    """Its files go by their names, and nobody may write."""
    at.put("sub/a.bin", b"a")
    url = f"/public.php/dav/files/{data(at.share('sub'))['token']}"
    assert at.ask("GET", f"{url}/a.bin", who=None).content == b"a"
    for method in ("PUT", "DELETE"):
        assert at.ask(method, f"{url}/a.bin", who=None, content=b"x").status_code == 403
    assert at.holds("sub/a.bin") == b"a"


@law("code", "who comes to the files of a link without its password guesses", Need.CONTROL)
def guesses(at: At) -> None:
    """After eleven guesses nobody at that address gets any file of any link, for half an hour: all else goes on."""
    token, open_to_all = data(at.share(password=PASSWORD))["token"], data(at.share("sub"))["token"]
    url = f"/public.php/dav/files/{token}/"
    for number in range(11):
        who = Account("anonymous", "wrong") if number % 2 else None
        assert at.ask("GET", url, who=who).status_code == 401
        assert at.ask("GET", f"/index.php/s/{token}", who=None).status_code == 303
    for path in (url, f"/public.php/dav/files/{open_to_all}/"):
        answer = at.ask("GET", path, who=Account("anonymous", PASSWORD))
        assert (answer.status_code, exception(answer)) == (503, "ServiceUnavailable")
        assert "MaxDelayReached" in message(answer)
    assert at.holds("old.bin") == b"old"
    at.server.cloud.ahead += 1801
    assert at.ask("GET", url, who=Account("anonymous", PASSWORD)).status_code == 200


@law("code", "without sharing between servers, only pages do more than GET with a public link", Need.CONTROL)
def without_federation(at: At) -> None:
    """Read in the code (apps/dav/appinfo/v2/publicremote.php)."""
    at.put("sub/a.bin", b"a")
    at.server.cloud.settings.federation = False
    url = f"/public.php/dav/files/{data(at.share('sub'))['token']}/a.bin"
    assert at.ask("GET", url, who=None).content == b"a"
    assert at.ask("DELETE", url, who=None).status_code == 401
    assert at.ask("DELETE", url, {"X-Requested-With": "XMLHttpRequest"}, who=None).status_code == 403


@law("operations 1.11", "read-only links that let anybody write", Need.CONTROL)
def writable_links(at: At) -> None:
    """Seen in Team folders: so it has to be tried."""
    at.server.cloud.settings.writable_links = True
    at.put("sub/a.bin", b"a")
    url = f"/public.php/dav/files/{data(at.share('sub'))['token']}"
    assert at.ask("PUT", f"{url}/b.bin", who=None, content=b"x").status_code == 201
    assert at.ask("DELETE", f"{url}/a.bin", who=None).status_code == 204


@law("3", "a public link with a password")
def public_password(at: At) -> None:
    """The page asks for it; the files are 401 without it."""
    token = data(at.share(password=PASSWORD))["token"]
    page = at.ask("GET", f"/index.php/s/{token}", who=None)
    assert page.status_code == 303
    assert page.headers["Location"].endswith(f"/index.php/s/{token}/authenticate/showshare")
    url = f"/public.php/dav/files/{token}"
    assert at.ask("GET", url, who=None).status_code == 401
    for name in ("anonymous", token):
        assert at.ask("GET", url, who=Account(name, PASSWORD)).content == b"old"
    assert at.ask("GET", "/public.php/webdav", who=Account(token, PASSWORD)).content == b"old"


@law("1.9, 3", "a token that nobody knows")
def unknown_token(at: At) -> None:
    """503."""
    assert at.ask("GET", "/public.php/dav/files/UnknownToken000", who=None).status_code == 503


@law("3", "hidden downloads and attributes are only seen")
def hidden_download(at: At) -> None:
    """The file still comes."""
    made = data(at.share(attributes='[{"scope":"permissions","key":"download","value":false}]'))
    assert "download" in made["attributes"]
    assert data(at.ocs("PUT", f"{SHARES}/{made['id']}", json={"hideDownload": "true"}))["hide_download"] == 1
    assert at.ask("GET", f"/public.php/dav/files/{made['token']}", who=None).content == b"old"


@law("3", "where addresses are rewritten, links are short", Need.CONTROL)
def pretty_links(at: At) -> None:
    """And the capabilities say so."""
    assert "/index.php/s/" in data(at.share())["url"]
    at.server.cloud.settings.pretty_links = True
    assert "/index.php" not in data(at.share())["url"]
    assert data(at.ocs("GET", "cloud/capabilities"))["capabilities"]["core"]["mod-rewrite-working"] is True


@law("3", "the address of a file by its id")
def internal_link(at: At) -> None:
    """303 for whom it is, 401 for nobody."""
    file_id = at.properties("old.bin", f"{OC}fileid")[f"{OC}fileid"]
    for path in (f"/f/{file_id}", f"/index.php/f/{file_id}"):
        answer = at.ask("GET", path)
        assert answer.status_code == 303
        assert f"/apps/files/files/{file_id}?dir={at.path()}&openfile=true" in answer.headers["Location"]
        assert at.ask("GET", path, {"Accept": "application/json"}, who=None).status_code == 401


@law("3", "the address of a file opens for nobody else", Need.OTHER)
def foreign_internal_link(at: At) -> None:
    """It tells no place."""
    file_id = at.properties("old.bin", f"{OC}fileid")[f"{OC}fileid"]
    answer = at.ask("GET", f"/index.php/f/{file_id}", who=at.other)
    assert file_id not in answer.headers.get("Location", "")


# --- received shares ----------------------------------------------------------------------------------------------


@law("2.3, 2.6", "a folder received for reading", Need.OTHER)
def received(at: At) -> None:
    """Nothing can be written in it: 403 without a message."""
    at.put("sub/a.bin", b"a")
    made = data(at.share("sub", kind=USER, shareWith=at.other.user, permissions=1))
    mine = next(
        each for each in data(at.ocs("GET", SHARES, params={"shared_with_me": "true"}, who=at.other))
        if each["id"] == made["id"]
    )  # fmt: skip
    url = f"/remote.php/dav/files/{at.other.user}{mine['file_target']}"
    assert at.ask("GET", f"{url}/a.bin", who=at.other).content == b"a"
    for method, name in (("PUT", "b.bin"), ("PUT", "a.bin"), ("MKCOL", "new"), ("DELETE", "a.bin")):
        answer = at.ask(method, f"{url}/{name}", who=at.other)
        assert (answer.status_code, exception(answer)) == (403, "Forbidden"), (method, name)
    told = at.properties("", f"{OC}permissions", f"{OC}owner-id", who=at.other, url=url)
    assert told[f"{OC}permissions"].startswith("S")
    assert told[f"{OC}owner-id"].lower() == at.one.user.lower()


@law("2.6, 5", "what is written into a received folder belongs to its owner", Need.CONTROL)
def received_for_writing(at: At) -> None:
    """His quota counts, though the folder says -3; and whoever received it may make links of it."""
    data(at.share("sub", kind=USER, shareWith=at.other.user, permissions=31))
    url = f"/remote.php/dav/files/{at.other.user}/sub"
    assert at.ask("PUT", f"{url}/a.bin", who=at.other, content=b"a").status_code == 201
    told = at.properties("sub/a.bin", f"{OC}owner-id", f"{OC}permissions")
    assert told == {f"{OC}owner-id": at.one.user, f"{OC}permissions": "RGDNVW"}
    told = at.properties("", f"{OC}permissions", who=at.other, url=f"{url}/a.bin")
    assert told[f"{OC}permissions"] == "SRGDNVW"
    link = data(at.ocs("POST", SHARES, json={"path": "/sub/a.bin", "shareType": 3}, who=at.other))
    assert (link["uid_owner"], link["uid_file_owner"]) == (at.other.user, at.one.user)
    cloud = at.server.cloud
    cloud.users[at.one.user].quota = cloud.homes[at.one.user].size
    name = f"{DAV}quota-available-bytes"
    assert at.properties("", name, who=at.other, url=url)[name] == "-3"
    assert at.ask("PUT", f"{url}/b.bin", who=at.other, content=b"b").status_code == 507


# --- capabilities, passwords, people ------------------------------------------------------------------------------


@law("3", "what the capabilities say of shares and passwords")
def capabilities(at: At) -> None:
    """All that a client has to know before it makes a link."""
    answer = at.ocs("GET", "cloud/capabilities", version=1)
    assert answer.headers["ETag"]
    told = answer.json()["ocs"]["data"]
    assert told["version"]["major"] >= 30
    sharing = told["capabilities"]["files_sharing"]
    assert {"enabled", "password", "expire_date", "multiple_links", "custom_tokens", "upload"} <= set(sharing["public"])
    assert {"api_enabled", "group_sharing", "sharebymail"} <= set(sharing)
    assert told["capabilities"]["password_policy"]["minLength"] > 0
    assert {"delay", "allow-listed"} <= set(told["capabilities"]["bruteforce"])
    assert told["capabilities"]["core"]["webdav-root"] == "remote.php/webdav"


@law("3", "nobody hears little of the capabilities")
def anonymous_capabilities(at: At) -> None:
    """Nothing of files and shares."""
    told = data(at.ocs("GET", "cloud/capabilities", who=None))["capabilities"]
    assert "bruteforce" in told
    assert not {"files_sharing", "files", "dav", "password_policy"} & set(told)


@law("3", "passwords can be asked for, and tried")
def passwords(at: At) -> None:
    """By the policy."""
    root = "apps/password_policy/api/v1"
    made = data(at.ocs("GET", f"{root}/generate"))["password"]
    assert len(made) >= 10
    assert data(at.ocs("POST", f"{root}/validate", json={"password": made}))["passed"] is True
    told = data(at.ocs("POST", f"{root}/validate", json={"password": "password"}))
    assert (told["passed"], bool(told["reason"])) == (False, True)


@law("3", "a limit of downloads", Need.CONTROL)
def download_limit(at: At) -> None:
    """The app takes it."""
    token = data(at.share())["token"]
    answer = at.ocs("PUT", f"apps/files_downloadlimit/api/v1/{token}/limit", json={"limit": 3})
    assert answer.status_code == 200


@law("3", "only administrators list accounts", Need.CONTROL)
def accounts(at: At) -> None:
    """403 for others."""
    path = "cloud/users/details"
    assert at.ocs("GET", path, params={"search": "anna"}).status_code == 403
    at.server.cloud.users[at.one.user].admin = True
    told = data(at.ocs("GET", path, params={"search": "nna@exam"}))["users"]
    assert {"id": "anna", "email": "anna@example.org", "enabled": True}.items() <= told["anna"].items()
    assert set(told) == {"anna"}


@pytest.mark.parametrize("where", places())
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_law(
    law: Law, where: str, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """The table above."""
    hold(law, where, request, record_property)
