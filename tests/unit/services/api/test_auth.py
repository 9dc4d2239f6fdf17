"""Tokens and roles. Source: executor specification, sections 1.3 and 15."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from api_world import SECRET, Api, armed, token

from bft.domain.errors import ConfigError
from bft.services.executor.api.auth import Keyring, Role
from bft.services.executor.api.problems import Problem
from bft.settings import Secret, Settings, token_secrets
from bft.steps.token import issued, token_claims

DAY_S = 24 * 3600


def claims(**changes: object) -> dict[str, object]:
    """Claims of a token made now, with some replaced; `exp` and `nbf` are seconds from now."""
    now = datetime.now(UTC)  # noqa: TID251  tokens are judged by the machine's clock
    made = token_claims("ada", ["trader"], now=now, lifetime=timedelta(minutes=30))
    for name in ("exp", "nbf"):
        if isinstance(seconds := changes.get(name), int):
            changes[name] = int(now.timestamp()) + seconds
    return {name: value for name, value in (made | changes).items() if value is not None}


@pytest.mark.parametrize("name", ["sub", "username", "roles", "iat", "exp", "nbf", "aud", "iss"])
def test_token_without_a_claim_is_refused(name: str) -> None:
    with pytest.raises(Problem) as caught:
        Keyring([SECRET]).subject(issued(claims(**{name: None}), SECRET))
    assert caught.value.status == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "others"},
        {"iss": "others"},
        {"exp": -31},
        {"nbf": 60},
        {"exp": DAY_S + 60},
        {"service": True, "exp": 91 * DAY_S},
        {"service": True, "roles": ["admin"]},
        {"roles": "trader"},
        {"username": ""},
        {"exp": "4102444800"},
        {"iat": "1767225600"},
    ],
)
def test_token_with_a_bad_claim_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Problem) as caught:
        Keyring([SECRET]).subject(issued(claims(**changes), SECRET))
    assert caught.value.status == 401


def test_leeway_is_thirty_seconds_and_services_live_longer() -> None:
    late = issued(claims(exp=-20), SECRET)
    assert Keyring([SECRET]).subject(late).role is Role.TRADER
    month = claims(service=True, exp=80 * DAY_S)
    assert Keyring([SECRET]).subject(issued(month, SECRET)).role is Role.TRADER


def test_unsigned_token_is_refused() -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    forged = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims())}."
    with pytest.raises(Problem) as caught:
        Keyring([SECRET]).subject(forged)
    assert caught.value.status == 401


def test_previous_secret_still_verifies() -> None:
    new = SECRET[::-1]
    assert Keyring([new, SECRET]).subject(issued(claims(), SECRET)).name == "ada"
    with pytest.raises(Problem):
        Keyring([new]).subject(issued(claims(), SECRET))


@pytest.mark.parametrize("text", ["", "short", "changeme" * 8, "a" * 64, f"{SECRET}\nshort"])
def test_unusable_secret_is_a_misconfiguration(text: str) -> None:
    with pytest.raises(ConfigError):
        token_secrets(Settings(jwt_secret=Secret(text)))


def test_two_lines_are_two_secrets() -> None:
    values = Settings(jwt_secret=Secret(f"{SECRET}\n{SECRET[::-1]}\n"))
    assert token_secrets(values) == (SECRET, SECRET[::-1])


ROLES = [
    ("GET", "/v1/orders", "viewer"),
    ("POST", "/v1/orders", "trader"),
    ("POST", "/v1/close", "trader"),
    ("POST", "/v1/kill", "trader"),
    ("DELETE", "/v1/kill", "admin"),
    ("PUT", "/v1/config", "admin"),
    ("POST", "/v1/halt", "admin"),
    ("POST", "/v1/model/promote", "admin"),
    ("GET", "/v1/debug/config", "admin"),
]


def test_every_route_asks_for_its_role(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        for method, path, needs in ROLES:
            below = {"viewer": "nobody", "trader": "viewer", "admin": "trader"}[needs]
            bare = await api.client.request(method, path)
            assert (bare.status_code, path) == (401, path)
            assert bare.headers["www-authenticate"] == "Bearer"
            body = {} if method != "GET" else None
            low = await api.ask(method, path, body, role=below)
            assert (low.status_code, path) == (403, path)
            high = await api.ask(method, path, body, role=needs)
            assert high.status_code not in {401, 403, 500}, path

    armed(tmp_path, then)


def test_refusals_are_on_record_and_ten_of_them_warn(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        for _ in range(10):
            await api.client.get("/v1/orders", headers={"authorization": "Bearer x"})
        await api.world.executor.desk.writer.flush()
        kinds = [row.entry.kind for row in api.world.book.journal()]
        assert kinds.count("auth_failure") == 10
        assert "AuthFailures" in api.world.alerts()

    armed(tmp_path, then)


def test_open_reads_need_no_token_and_writes_do(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        assert (await api.client.get("/v1/orders")).status_code == 200
        assert (await api.client.post("/v1/kill")).status_code == 401
        assert (await api.client.get("/v1/debug/config")).status_code == 403

    armed(tmp_path, then, open_reads=True)


def test_page_cookie_reads_and_needs_its_header_to_write(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.client.post("/session", json={"token": token("trader")})
        assert made.status_code == 204
        cookie = made.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert (await api.client.get("/v1/orders")).status_code == 200
        assert (await api.client.post("/v1/kill")).status_code == 403
        allowed = await api.client.post("/v1/kill", headers={"X-BFT-Page": "1"})
        assert allowed.status_code == 200
        assert (await api.client.post("/session", json={"token": "x"})).status_code == 401

    armed(tmp_path, then)


def test_too_many_writes_a_second_are_refused_but_never_a_kill(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        codes = [(await api.ask("POST", "/v1/tick", {})).status_code for _ in range(51)]
        assert codes[:50] == [422] * 50
        assert codes[50] == 429
        assert (await api.ask("POST", "/v1/kill")).status_code == 200
        await api.world.sleep(1.1)
        assert (await api.ask("POST", "/v1/tick", {})).status_code == 422

    armed(tmp_path, then)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("abc", "it is no token: not the three parts that bft token prints; was it cut?"),
        ("a.b.c", "it is no token: not the three parts that bft token prints; was it cut?"),
        (issued(claims(exp=-31), SECRET), "it has expired"),
        (issued(claims(aud="others"), SECRET), "it was made for another service"),
        (issued(claims(sub=None), SECRET), "it lacks the claim sub"),
        (
            issued(claims(), SECRET[::-1]),
            "it is signed with another secret than this server's (BFT_JWT_SECRET_FILE)",
        ),
    ],
    ids=["word", "dots", "expired", "audience", "claim", "secret"],
)
def test_refused_token_is_told_why_in_words(text: str, why: str) -> None:
    with pytest.raises(Problem) as caught:
        Keyring([SECRET]).subject(text)
    assert caught.value.message == f"token refused: {why}"
