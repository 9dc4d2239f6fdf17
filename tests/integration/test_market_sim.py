"""`bft serve market-sim` as a process: address, headers, faults on the wire, a clean end."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest
from sims import market_sim, served, vendor

from bft.cli import main

OPTIONS = ["--symbols", "5", "--start", "2021-01-04"]
DAILY = {"function": "TIME_SERIES_DAILY_ADJUSTED", "symbol": "GOPI"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with market_sim(*OPTIONS) as found:
        yield found


def set_faults(url: str, *listed: dict[str, object]) -> httpx.Response:
    return httpx.put(f"{url}/sim/faults", content=json.dumps(listed))


def test_every_answer_says_it_is_simulated(url: str) -> None:
    paths = ["query?function=CPI", "query?function=NO", "healthz", "sim/truth", "sim/ceiling"]
    for path in [*paths, "sim/faults", "nowhere", "sim/truth?date=2030-01-01"]:
        assert httpx.get(f"{url}/{path}").headers["X-Simulated"] == "bft"
    assert httpx.get(f"{url}/healthz").json()["status"] == "ok"
    assert httpx.get(f"{url}/nowhere").status_code == 404


def test_another_process_gives_the_same_bytes(url: str) -> None:
    """No clock, no salted hash, no order: this process and the server agree on every byte."""
    here = vendor(stocks=5, start=date(2021, 1, 4))
    for function in ("TIME_SERIES_DAILY_ADJUSTED", "HISTORICAL_OPTIONS", "EARNINGS", "OVERVIEW"):
        params = {"function": function, "symbol": "GOPI"}
        answer = httpx.get(f"{url}/query", params=params, headers={"X-Bft-Asof": "2022-06-15"})
        assert answer.text == here.query(params, "2022-06-15").body
    assert httpx.get(f"{url}/sim/truth").text == here.truth("2022-12-30").body


def test_csv_answers_bear_their_type(url: str) -> None:
    answer = httpx.get(f"{url}/query", params={"function": "LISTING_STATUS"})
    assert answer.headers["content-type"] == "text/csv"
    assert answer.text.startswith("symbol,name,exchange,assetType,ipoDate,delistingDate,status\r\n")


def test_faults_are_set_shown_and_cleared(url: str) -> None:
    listed = {"kind": "http_429", "rate": 1.0, "functions": [DAILY["function"]]}
    shown = set_faults(url, listed).json()
    assert shown == {"faults": [listed | {"symbols": [], "days": []}], "served": {}}
    busy = httpx.get(f"{url}/query", params=DAILY)
    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "1")
    assert httpx.get(f"{url}/sim/faults").json()["served"] == {"http_429": 1}
    assert set_faults(url, {"kind": "typo", "rate": 1}).status_code == 400
    set_faults(url)
    assert httpx.get(f"{url}/query", params=DAILY).status_code == 200


def test_hang_never_answers_and_slow_bodies_trickle(url: str) -> None:
    set_faults(url, {"kind": "hang", "rate": 1})
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/query", params=DAILY, timeout=0.5)
    set_faults(url, {"kind": "slow_body", "rate": 1})
    parts = []
    with httpx.stream("GET", f"{url}/query", params=DAILY, timeout=5) as answer:
        for part in answer.iter_raw():
            parts.append(part)
            if len(parts) == 2:
                break
        assert 0 < sum(map(len, parts)) < int(answer.headers["content-length"]) / 20
    set_faults(url)


def test_server_ends_with_its_json_line() -> None:
    with served("market-sim", ["--today", "2022-12-30", *OPTIONS]) as (url, process):
        httpx.get(f"{url}/query", params=DAILY)
        process.terminate()
        out, err = process.communicate(timeout=10)
    line = json.loads(out)
    assert process.returncode == 0
    assert (line["verb"], line["url"], line["answered"]) == ("serve", url, 1)
    assert "Traceback" not in err


def test_bad_starts_are_refused(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: str) -> tuple[object, str]:
        try:
            code: object = main(["serve", *words])
        except SystemExit as ended:  # a server's own parser
            code = ended.code
        return code, capsys.readouterr().err

    listed = tmp_path / "faults.json"
    listed.write_text('[{"kind": "earthquake", "rate": 1}]')
    code, text = refused("market-sim", "--faults", str(listed))
    assert code == 78
    assert "faults.json[0]: unknown kind" in text
    assert refused("market-sim", "--faults", str(tmp_path / "none.json"))[0] == 78
    code, text = refused("market-sim", *OPTIONS, "--port", url.rsplit(":", 1)[1])
    assert code == 75
    assert "--port 0" in text
    assert refused("market-sim", "--symbols", "2")[0] == 2
    assert refused("market-sim", "--start", "2030-01-01", "--today", "2025-01-02")[0] == 2
    assert refused("nothing")[0] == 2
