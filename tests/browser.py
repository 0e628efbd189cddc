"""Debian's Chromium, driven by tests; and axe, which looks for what keeps people out."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.absent import absent

_AXE = "axe-core@4.14.1"
#: Of the rules of WCAG 2.2 up to AA, and of what axe holds for good besides.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """
const done = arguments[arguments.length - 1];
axe.run({runOnly: arguments[0], resultTypes: ['violations', 'incomplete']}).then(
  found => done(found.violations.map(each => each.id + ' ' + each.nodes.map(node => node.html).join(' '))),
  error => done(['axe: ' + error]));
"""


class Browser:
    """One window."""

    def __init__(self, downloads: Path, *, scripts: bool) -> None:
        """What is downloaded lands in `downloads`; `scripts`: whether any run, be they of a page or of axe."""
        options = webdriver.ChromeOptions()
        options.binary_location = _program("chromium")
        for each in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
            options.add_argument(each)
        wishes = {
            "download.default_directory": str(downloads),
            "profile.managed_default_content_settings.javascript": 1 if scripts else 2,
        }
        options.add_experimental_option("prefs", wishes)
        self.downloads = downloads
        self.driver = webdriver.Chrome(options=options, service=Service(_program("chromedriver")))
        self._tell("Network.enable")

    def close(self) -> None:
        """End it."""
        self.driver.quit()

    def dress(
        self,
        *,
        lang: str = "en",
        dark: bool = False,
        width: int = 1100,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Wish for this language and these colours, on a screen of this width, from now on."""
        self._tell("Network.setExtraHTTPHeaders", headers={"Accept-Language": lang, **(headers or {})})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._tell("Emulation.setEmulatedMedia", features=[scheme])
        self._tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )

    def forget(self) -> None:
        """Throw cookies away."""
        self._tell("Network.clearBrowserCookies")

    def violations(self, axe: str) -> Sequence[str]:
        """What axe finds on this page. Its policy lets no page run scripts, so axe comes by the back door."""
        if not self.driver.execute_script("return 'axe' in window"):
            self.driver.execute_script(axe)
        found: Sequence[str] = self.driver.execute_async_script(_RUN, {"type": "tag", "values": _RULES})
        return found

    def _tell(self, what: str, **how: Any) -> None:
        self.driver.execute_cdp_cmd(what, how)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium that runs no script of any page."""
    made = Browser(tmp_path_factory.mktemp("downloads"), scripts=False)
    yield made
    made.close()


@pytest.fixture(scope="session")
def scripted_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium in which axe runs."""
    made = Browser(tmp_path_factory.mktemp("downloads"), scripts=True)
    yield made
    made.close()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe."""
    if shutil.which("npm") is None:
        absent("npm is not installed (Debian: npm)")
    folder = tmp_path_factory.mktemp("axe")
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), _AXE]
    if subprocess.run(install, capture_output=True, check=False).returncode != 0:
        absent(f"npm could not install {_AXE}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        absent(f"{name} is not installed (Debian: chromium, chromium-driver)")
    return found
