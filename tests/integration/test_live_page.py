"""The live page in a real browser: signed in, watched, and its switches used."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from chromium import Browser, Tab, chromium
from layout import faults
from order_roots import NIGHT, OPEN, Running, night_root, running_executor
from waiting import until

WIDTHS = {"desktop": (1200, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def run(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An executor in the session that holds AAPL."""
    del browser  # its test skips before anything is started
    root = night_root(tmp_path_factory.mktemp("page") / "root")
    at = OPEN + timedelta(minutes=6)
    with (
        running_executor(root, "--broker", "paper", clock=at) as found,
        client(found) as api,
    ):
        until(lambda: api.get("/v1/health").json()["session_state"] == "ARMED")
        price(api, "100")
        assert found.bft("execute", "--asof", NIGHT, "--root", root, "--wait", 0)[0] == 0
        price(api, "100")
        until(lambda: api.get("/v1/positions").json()["positions"])
        yield found


def client(run: Running) -> httpx.Client:
    token = (run.root.parent / "admin.token").read_text()
    return httpx.Client(base_url=run.url, headers={"authorization": f"Bearer {token}"})


def price(api: httpx.Client, text: str) -> None:
    api.post("/v1/tick", json={"symbol": "AAPL", "price": float(text)}).raise_for_status()


@pytest.fixture
def tab(run: Running, browser: Browser) -> Iterator[Tab]:
    """A page that is signed in as a trader."""
    with browser.tab() as found:
        found.size(*WIDTHS["desktop"])
        found.go(run.url + "/")
        found.until("document.getElementById('login')")
        found.type("input[name=token]", "not a token")
        found.click("button[type=submit]")
        found.until("document.getElementById('login-error').textContent")
        found.type("input[name=token]", (run.root.parent / "admin.token").read_text())
        found.click("button[type=submit]")
        found.until("document.getElementById('board')")
        assert found.value("document.cookie") == ""  # scripts cannot read it
        yield found
        assert not [line for line in found.log if "status of 4" not in line]


@pytest.mark.parametrize("name", WIDTHS)
def test_page_fits_and_shows_what_is_held(tab: Tab, name: str, tmp_path: Path) -> None:
    tab.size(*WIDTHS[name])
    opened(tab)
    shown = str(tab.value("document.body.innerText"))
    for text in ("AAPL", "bollinger", "protected", "paper armed", "Entries today"):
        assert text.lower() in shown.lower(), text
    wide = tab.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    assert faults(tab) == []
    buttons = "[...document.querySelectorAll('button')].filter(b => b.checkVisibility())"
    small = tab.value(f"{buttons}.filter(b => b.offsetHeight < 28).length")
    assert small == 0
    tab.shot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def opened(tab: Tab) -> None:
    """Press what is folded."""
    tab.value("document.querySelectorAll('.fold:not([open]) summary').forEach(e => e.click())")


def test_telephone_shows_state_switch_and_positions_first(tab: Tab, run: Running) -> None:
    """Red: positions began on the second screen, and the page was ten screens long."""
    tab.size(*WIDTHS["phone"])
    tab.go(run.url + "/?")  # a page is folded as it is opened
    tab.until("document.querySelector('.fold')")
    screen = WIDTHS["phone"][1]
    for place in (".state", "[data-act=kill]", "[data-act=close]", ".tag.good"):
        below = f"document.querySelector('{place}').getBoundingClientRect().bottom"
        assert tab.value(below) < 2 * screen, place
    shown = str(tab.value("document.body.innerText")).lower()
    for text in (
        "realised today, usd",
        "limits used",
        "none is near",
        "0 entries at work, 1 shown",
    ):
        assert text in shown  # what is folded says in a word whether to open it
    assert tab.value("document.querySelectorAll('.fold[open]').length") == 0
    assert tab.value("document.documentElement.scrollHeight") < 2 * screen
    assert faults(tab) == []
    tab.click("#limits summary")
    tab.value("window.before = document.getElementById('limits')")
    tab.until("window.before !== document.getElementById('limits')")  # the page asked again
    assert tab.value("[...document.querySelectorAll('.fold[open]')].map(e => e.id)") == ["limits"]
    assert "entries today" in str(tab.value("document.body.innerText")).lower()


def test_price_moves_without_a_reload(tab: Tab, run: Running) -> None:
    tab.value("window.untouched = true")
    with client(run) as api:
        price(api, "101.5")
    tab.until("document.body.innerText.includes('$101.5')")
    assert tab.value("window.untouched") is True


def test_close_and_kill_ask_first(tab: Tab, run: Running) -> None:
    with client(run) as api:
        tab.click("[data-act=close]")
        tab.until("document.getElementById('ask').open")
        assert "49 units of AAPL" in str(tab.value("document.getElementById('ask').innerText"))
        tab.click("#ask-no")
        assert api.get("/v1/positions").json()["positions"]
        tab.click("[data-act=close-all]")
        tab.type("#ask input", "OTHER")
        tab.click("#ask-yes")
        tab.until("document.getElementById('ask-error').textContent.includes('account')")
        tab.type("#ask input", "PAPER")
        tab.click("#ask-yes")
        until(lambda: not api.get("/v1/positions").json()["positions"])
        tab.until("document.body.innerText.includes('Nothing is held')")
        tab.click("[data-act=kill]")
        tab.click("#ask-yes")
        until(lambda: api.get("/v1/kill").json()["latched"])
        tab.until("document.querySelector('[data-act=unkill]')")
        tab.click("[data-act=unkill]")
        tab.click("#ask-yes")
        until(lambda: not api.get("/v1/kill").json()["latched"])


def test_sign_out_forgets_the_token(tab: Tab) -> None:
    tab.click("[data-act=logout]")
    tab.until("document.getElementById('login')")
