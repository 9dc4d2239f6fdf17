"""Import from a real MariaDB that holds an old installation's tables."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from fakes import FixedClock, arguments, make_ports, no_tick
from servers import mariadb

from bft.adapters.sources.mysql import MySql
from bft.domain.errors import ConfigError, DataError, UnavailableError
from bft.ports import Summary
from bft.steps import pull

ASOF = date(2018, 2, 7)
NOW = datetime(2026, 1, 5, 23, 30, tzinfo=UTC)
WORD = "secret"
OLD = (Path(__file__).parent / "legacy.sql").read_text()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with mariadb() as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    """The database with a small old installation in it."""
    tables = re.findall(r"CREATE TABLE (\w+)", OLD)
    change(server, *(f"DROP TABLE IF EXISTS {name}" for name in [*tables, "away"]))
    change(server, *OLD.strip().removesuffix(";").split(";\n"))
    return server


def change(url: str, *statements: str) -> None:
    engine = sa.create_engine(sa.make_url(url).set(password=WORD))
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def run(root: Path, url: str, *, word: str = WORD, now: datetime = NOW) -> Summary:
    store = make_ports(root).store
    source = MySql(url, password=word, store=store)
    ports = make_ports(root, clock=FixedClock(now), sources={"m": source})
    args = arguments(pull.STEP, "--source", "m", fresh=False, asof=ASOF)
    try:
        return pull.STEP.run(ports, args, no_tick)
    finally:
        source.close()


def stored(root: Path, table: str) -> pd.DataFrame:
    return make_ports(root).store.read(table, asof=ASOF).to_pandas()


def test_old_tables_become_ours(tmp_path: Path, url: str) -> None:
    summary = run(tmp_path, url)
    assert summary.values["tables"] == {
        "actions": 2,
        "bars": 6,
        "earnings": 2,
        "fundamentals": 1,
        "macro": 3,
        "options": 1,
        "options_summary": 1,
        "universe": 2,
    }
    assert summary.skipped == {"bad_symbol": 1, "import_adj_step": 1, "macro_after_asof": 2}
    bars = stored(tmp_path, "bars")
    assert bars["symbol"].tolist() == ["AAA"] * 5 + ["B-B"]
    assert set(bars["source"]) == {"mysql"}
    assert set(bars["arrived_at"]) == {NOW}
    assert bars["known_at"].iloc[-1] == datetime(2018, 2, 7, 21, tzinfo=UTC)
    actions = stored(tmp_path, "actions")[["ex_date", "kind", "value"]]
    assert actions.astype({"ex_date": str}).to_numpy().tolist() == [
        ["2018-02-02", "dividend", pytest.approx(2.0)],
        ["2018-02-05", "split", 2.0],
    ]
    earnings = stored(tmp_path, "earnings")
    assert earnings["status"].tolist() == ["ok", "expected"]
    assert earnings["known_at"][0] == datetime(2017, 11, 14, 21, tzinfo=UTC)
    facts = stored(tmp_path, "fundamentals").iloc[0]
    assert (facts["sector"], facts["analyst_rating_strong_sell"]) == ("FINANCIAL SERVICES", 5.0)
    assert facts["known_at"] == NOW
    option = stored(tmp_path, "options").iloc[0]
    assert (option["strike"], option["volume"]) == (50.0, 7)
    assert pd.isna(option["open_interest"])
    assert stored(tmp_path, "options_summary")["total_volume"].tolist() == [10]


def test_interrupted_import_goes_on_with_what_is_staged(tmp_path: Path, url: str) -> None:
    first = run(tmp_path / "whole", url)
    change(url, "RENAME TABLE historical_options TO away")
    with pytest.raises(DataError, match="historical_options"):
        run(tmp_path / "broken", url)
    assert stored(tmp_path / "broken", "bars").empty
    change(url, "RENAME TABLE away TO historical_options", "UPDATE core_stock SET close = 7")
    again = run(tmp_path / "broken", url, now=NOW.replace(minute=59))
    assert again.objects == first.objects


def test_missing_column_is_bad_data(tmp_path: Path, url: str) -> None:
    change(url, "ALTER TABLE core_stock DROP COLUMN volume")
    with pytest.raises(DataError, match="volume"):
        run(tmp_path, url)


def test_wrong_password_is_misconfigured_and_shown_nowhere(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="BFT_MYSQL_PASSWORD_FILE") as raised:
        run(tmp_path, url, word="wrong-word")
    assert "wrong-word" not in str(raised.value)


def test_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="core_stock"):
        run(tmp_path, "mysql+pymysql://reader@127.0.0.1:9/legacy")


def test_url_without_a_driver_is_misconfigured(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mysql:mysql"):
        run(tmp_path, "nonsense")


def test_json_line_of_an_import_is_json(tmp_path: Path, url: str) -> None:
    assert json.loads(json.dumps(run(tmp_path, url).values))["absent"]
