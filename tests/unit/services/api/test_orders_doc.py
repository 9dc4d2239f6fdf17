"""docs/orders.md: every field is in it, every line in it is what the API answers."""

import json
import re
from pathlib import Path

from api_world import Api, armed

from bft.risk.profiles import PROFILES
from bft.services.executor.api.order_body import WholeOrderBody

TEXT = (Path(__file__).resolve().parents[4] / "docs" / "orders.md").read_text()


def test_every_field_of_an_order_is_told() -> None:
    rows = re.findall(r"^\| (`.*?) \| .* \| .* \|$", TEXT, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told == set(WholeOrderBody.model_fields)


def test_least_confidence_is_that_of_the_profiles() -> None:
    least = {name: one.min_confidence for name, one in PROFILES.items() if name != "bench"}
    told = re.search(r"at least ([\d.]+) with .*? ([\d.]+) with `options`; `futures_nq`", TEXT)
    assert told is not None
    shares, options = told.groups()
    wanted = {"equities": shares, "paper-small": shares, "options": options, "futures_nq": None}
    assert {name: None if one is None else str(one) for name, one in least.items()} == wanted


def test_lines_are_answered_as_they_say(tmp_path: Path) -> None:
    block = re.search(r"^```orders\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    assert block is not None
    lines = block[1].splitlines()
    assert len(lines) > 20

    async def then(api: Api) -> None:
        for line in lines:
            body, code, word = line.rsplit(maxsplit=2)
            api.world.price("AAPL", "99.99")
            made = await api.ask("POST", "/v1/orders", json.loads(body))
            told = made.json()
            said = told.get("error") or (told["order_type"] if code == "201" else told["state"])
            assert (made.status_code, said) == (int(code), word), (line, made.text)
            await api.world.sleep(0.5)
        assert [row["quantity"] for row in told["closing"]] == [3]  # of the 500 that it names
        await api.world.sleep(2)
        api.world.price("AAPL", "99.99")
        await api.world.sleep(2)
        assert api.world.qty() == 0

    armed(tmp_path, then)


def test_limits_that_a_newcomer_meets_are_those_of_the_profile() -> None:
    limits = dict(re.findall(r"^\| ([a-z][a-z ]+) \| (.*?) \| `", TEXT, re.MULTILINE))
    profile = PROFILES["equities"]
    assert f"at most {profile.max_quote_age_s} s old" in limits["price of now"]
    assert limits["least order"].startswith(f"${profile.min_order_usd},")
    share = f"{100 * (profile.position_frac or 0):.0f} %"
    cap, units = f"${profile.position_cap_usd:,}", f"{profile.max_units:,} shares"
    assert [word in limits["largest position"] for word in (share, cap, units)] == [True] * 3
    entries, orders = profile.max_entries_per_day, profile.max_orders_per_day
    assert limits["entries a day"].startswith(f"{entries}, of all symbols, and {orders} orders")
    assert limits["entries a day in one symbol"] == str(profile.max_entries_per_symbol)
    assert limits["positions"].startswith(str(profile.max_positions))
    times = profile.times
    told = f"{times.after_open_min} min after the open to {times.before_close_min} min before"
    assert limits["hours of an entry by hand"].startswith(told)
