"""The live page: what it shows, to whom, and that nothing on it runs but its own script."""

import re
from decimal import Decimal
from pathlib import Path

from api_world import Api, armed, order, signal, token

COOKIE = "bft_session"


async def page(api: Api, *roles: str, part: str = "") -> str:
    headers = {"cookie": f"{COOKIE}={token(*roles)}"} if roles else {}
    found = await api.client.get("/" + part, headers=headers)
    return found.text


def test_without_a_session_only_the_form_is_shown(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        found = await api.client.get("/")
        assert found.status_code == 200
        assert 'id="login"' in found.text
        assert "paper · simulated" in found.text
        assert "account" not in found.text.split("<script")[0]
        gone = await api.client.get("/?part=board")
        assert gone.status_code == 401
        bad = await api.client.get("/", headers={"cookie": f"{COOKIE}=x.y.z"})
        assert 'id="login"' in bad.text

    armed(tmp_path, story)


def test_policy_admits_only_the_pages_own_script_and_style(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        found = await api.client.get("/", headers={"cookie": f"{COOKIE}={token('viewer')}"})
        policy = dict(
            part.split(" ", 1) for part in found.headers["content-security-policy"].split("; ")
        )
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert re.fullmatch(r"'sha256-[\w+/=]{44}'", policy["script-src"])
        assert re.fullmatch(r"'sha256-[\w+/=]{44}'", policy["style-src"])
        assert found.headers["x-frame-options"] == "DENY"
        assert found.headers["cache-control"] == "no-store"
        assert found.text.count("<script") == 1
        assert not re.search(r"\bon\w+=|style=|https?://", found.text.split("<script")[0])

    armed(tmp_path, story)


def test_orders_of_the_page_are_entries_and_what_closes(tmp_path: Path) -> None:
    """A stop and a target rest; then one exit at the market has filled, they have ended."""

    async def story(api: Api) -> None:
        await api.order()
        await api.world.wait(lambda: api.world.protected() == api.world.qty() > 0)
        shown = await page(api, "trader", part="?part=board")
        assert "0 entries at work, 1 shown; 2 closing" in shown
        assert "sell AAPL<small>stop</small>" in shown
        assert "sell AAPL<small>target</small>" in shown
        await api.ask("POST", "/v1/close", {"symbols": ["AAPL"]})
        await api.world.wait(lambda: api.world.qty() == 0)
        await api.world.sleep(2)
        shown = await page(api, "trader", part="?part=board")
        assert "1 shown; 0 closing" in shown
        assert "sell AAPL<small>exit</small>" in shown
        assert "<small>target</small>" not in shown

    armed(tmp_path, story)


def test_page_shows_positions_exits_orders_limits_and_denials(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        await api.order()
        await api.ask("POST", "/v1/signal", signal(symbol="MSFT", confidence=0.4))
        await api.service.desk.writer.flush()
        await api.world.wait(lambda: api.world.protected() == api.world.qty() > 0)
        shown = await page(api, "trader", part="?part=board")
        assert "stop $95.00 · target $110.00" in shown
        assert ">protected<" in shown
        assert "10 of 10" in shown
        assert "rule 15 confidence: 0.4000 against 0.6000" in shown
        assert re.search(r"Entries today</span><span class=\"n\">1 of 5", shown)
        assert "<html" not in shown
        assert "paper · simulated" in await page(api, "trader")

    armed(tmp_path, story)


def test_page_and_api_tell_one_result_and_it_adds_up(tmp_path: Path) -> None:
    """4 of 10 sold: the fees of the 6 that are held stand apart, and the rest is the equity."""

    async def story(api: Api) -> None:
        await api.order()
        await api.world.wait(lambda: api.world.qty() == 10)
        sold = {"symbol": "AAPL", "side": "SELL", "quantity": 4}
        assert (await api.ask("POST", "/v1/orders", sold)).status_code == 202
        await api.world.wait(lambda: api.world.qty() == 6)
        tick = {"symbol": "AAPL", "price": "99.01", "bid": "99.00", "ask": "99.02"}
        await api.ask("POST", "/v1/tick", tick)
        await api.world.sleep(2)
        daily = (await api.ask("GET", "/v1/pnl/daily")).json()
        start, realised, fees, change, equity = (
            Decimal(daily[f"{name}_usd"])
            for name in (
                *("day_start_equity", "realised", "open_fees"),
                *("unrealised_change", "equity"),
            )
        )
        assert (fees > 0, change < 0) == (True, True)
        assert abs(start + realised - fees + change - equity) <= Decimal("0.005")  # told in cents
        shown = await page(api, "viewer", part="?part=board")
        tiles = dict(
            re.findall(
                r'class="tile"><span>(.*?)(?:, USD)?</span><b><span class="\w*">(.*?)<', shown
            )
        )
        told = {name: f"\u2212{-value:.2f}" for name, value in (("r", realised), ("f", -fees))}
        assert tiles["Realised today"] == told["r"]
        assert tiles["Open fees"] == told["f"]
        assert "a gain in one offsets nothing" in shown

    armed(tmp_path, story)


def test_buttons_are_those_of_the_role(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        await api.order()
        await api.world.wait(lambda: api.world.qty() > 0)
        await api.ask("POST", "/v1/halt", {"scope": "symbol", "key": "MSFT", "reason": "odd"})
        acts = {}
        for role in ("viewer", "trader", "admin"):
            found = re.findall(r'data-act="([\w-]+)"', await page(api, role, part="?part=board"))
            acts[role] = set(found)
        assert acts["viewer"] == set()
        assert acts["trader"] == {"kill", "flatten", "close", "close-all"}
        assert acts["admin"] == acts["trader"] | {"resume"}

    armed(tmp_path, story)


def test_outside_text_is_escaped(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        evil = "</p><script>alert(1)</script>"
        await api.ask("POST", "/v1/halt", {"scope": "symbol", "key": "MSFT", "reason": evil})
        await api.ask("POST", "/v1/kill", {"reason": '"><img src=x onerror=alert(1)>'})
        shown = await page(api, "admin", part="?part=board")
        assert "<script" not in shown
        assert "<img" not in shown
        assert "&lt;script&gt;alert(1)" in shown

    armed(tmp_path, story)


def test_cookie_is_for_the_page_alone_and_writes_need_its_header(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        made = await api.client.post("/session", json={"token": token("trader")})
        assert made.status_code == 204
        flags = made.headers["set-cookie"].lower()
        assert "httponly" in flags
        assert "samesite=strict" in flags
        api.client.cookies.clear()
        cookie = {"cookie": f"{COOKIE}={token('trader')}"}
        forged = await api.client.post("/v1/orders", json=order(), headers=cookie)
        assert forged.status_code == 403
        own = {**cookie, "X-BFT-Page": "1"}
        assert (await api.client.post("/v1/kill", json={}, headers=own)).status_code == 200

    armed(tmp_path, story)
