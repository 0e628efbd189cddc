"""links.yaml: every mistake at once, each with its place, none with a secret."""

from pathlib import Path

import pytest

from connector.config.yamlfile import ConfigError
from connector.links import settings as link_settings
from connector.links.colours import DARK, READABLE, contrast, for_dark
from tests.links import settings_of, written
from tests.servers import DavServer

STORE = DavServer("none", "https://dav.example.org/files/", Path("/nowhere"))
EXAMPLE = Path(__file__).parent.parent / "config" / "links.example.yaml"


def test_the_example_is_valid(tmp_path: Path) -> None:
    """What we ship as an example can be used as it is."""
    (tmp_path / link_settings.FILE).write_text(EXAMPLE.read_text())
    assert link_settings.load(tmp_path).look("example").name == "Example Ministry"


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """With line and column; the password that stands at the wrong place is not repeated."""
    (tmp_path / link_settings.FILE).write_text(
        """url: files.example.org
listen: {port: 99999}
book: sqlite:////var/lib/links.db
house:
  name: Ministry
  colour: "#ffd700"
  contact: {en: Ask., xx: Fragen.}
  timezone: Berlin
  logo: /nowhere/logo.gif
tenants:
  acme: {store: {url: "https://u:hunter2@dav.example.org", user: pages, password: hunter2}}
proxy: {addresses: [10.0.0.999]}
limits: {download: 5}
"""
    )
    with pytest.raises(ConfigError) as error:
        link_settings.load(tmp_path)
    told = str(error.value)
    for place in (
        "links.yaml:1:6 url",
        "links.yaml:2:16 listen.port",
        "links.yaml:6:11 house.colour",
        "links.yaml:8:13 house.timezone",
        "links.yaml:9:9 house.logo",
        "links.yaml:11:23 tenants.acme.store.url",
        "links.yaml:11:83 tenants.acme.store.password",
        "links.yaml:12:21 proxy.addresses.0",
        "links.yaml:13:10 limits.download: is not a field; did you mean downloads?",
    ):
        assert place in told
    assert "hunter2" not in told


def test_a_secret_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Before anything is served."""
    settings = link_settings.load(written(tmp_path, settings_of(tmp_path, STORE)))
    (tmp_path / "password").unlink()
    password = settings.tenants["acme"].store.password
    assert password
    with pytest.raises(ConfigError, match=r"tenants\.acme\.store\.password: secret file .* cannot be read"):
        link_settings.secret(password, "tenants.acme.store.password")


@pytest.mark.parametrize("colour", ["#000000", "#1d4f91", "#767676", "#b3000c", "#0000ff", "#005a2b"])
def test_a_colour_of_a_house_can_be_read_on_dark_pages(colour: str) -> None:
    """However dark it is."""
    assert contrast(for_dark(colour), DARK) >= READABLE


def test_contrast_is_that_of_the_standard() -> None:
    """Its extremes, and a value that is told there."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#ffffff") == pytest.approx(1)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
