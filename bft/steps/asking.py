"""What the verbs that talk to an executor share: options, the mode check, answers as faults.

Source: executor specification, sections 8 and 10.
"""

import argparse
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bft.domain.errors import BftError, DataError, RefusedError, UnavailableError, UsageError
from bft.domain.roots import elsewhere, root_id
from bft.ports import ExecutorApi, Ports, Reply

MODES = ("paper", "live")


def add_api(parser: argparse.ArgumentParser) -> None:
    """Add `--api`; where it is absent the settings say."""
    parser.add_argument("--api", dest="api_url", metavar="URL", help="executor (BFT_API_URL)")


def add_mode(parser: argparse.ArgumentParser) -> None:
    """Add `--mode` and its short form `--live`."""
    parser.add_argument("--mode", choices=MODES, help="the server's mode must be this (paper)")
    parser.add_argument("--live", action="store_true", help="the same as --mode live")


def mode_of(args: argparse.Namespace) -> str:
    """The mode somebody means.

    Raises:
        UsageError: `--live` and `--mode paper` together.
    """
    if args.live and args.mode == "paper":
        raise UsageError("--live and --mode paper contradict each other")
    return "live" if args.live else args.mode or "paper"


def connect(ports: Ports, args: argparse.Namespace) -> tuple[ExecutorApi, Mapping[str, Any]]:
    """The executor of this root in the mode that is meant, and what it says of its health.

    Raises:
        RefusedError: its root or its mode is another.
        UnavailableError: it does not answer.
    """
    return reach(ports, args.api_url, mode=mode_of(args))


def reach(ports: Ports, url: str, *, mode: str) -> tuple[ExecutorApi, Mapping[str, Any]]:
    """The executor at an address, in that mode; see `connect`."""
    api = ports.executor(url, mode=mode)
    health: Mapping[str, Any] = answer(api.ask("GET", "/v1/health"))
    _check_root(ports, api, health)
    if health.get("mode") != mode:
        how = "add --live" if mode == "paper" else "leave --live away"
        raise RefusedError(f"{api.url} trades {health.get('mode')}, asked for {mode}; {how}")
    return api, health


def own(ports: Ports, url: str) -> ExecutorApi:
    """The executor at an address, of whatever mode.

    Raises:
        RefusedError: it trades for another root.
        UnavailableError: it does not answer.
    """
    api = ports.executor(url)
    _check_root(ports, api, answer(api.ask("GET", "/v1/health")))
    return api


def _check_root(ports: Ports, api: ExecutorApi, health: Mapping[str, Any]) -> None:
    if (other := other_root(ports, api, health)) is not None:
        raise RefusedError(
            f"{other}; nothing was done. Give the --root it trades for, or the address of this "
            "root's own with --api or BFT_API_URL"
        )


def other_root(ports: Ports, api: ExecutorApi, health: Mapping[str, Any]) -> str | None:
    """In words which root an executor trades for, where that is not this one.

    A path is told to admins only; others are told its id.
    """
    root, told = ports.store.root, health.get("root")
    if not elsewhere(api.url, told, root):
        return None
    path = ""
    with suppress(BftError, KeyError, TypeError):
        path = answer(api.ask("GET", "/v1/debug/config"))["values"]["root"]["value"]
    mine = root_id(root)
    return (
        f"executor {api.url} ({health.get('mode')}, account ...{health.get('account')}) trades for "
        f"another root, {path or 'its path is told to admins only'} (id {str(told)[:8]}), "
        f"not for {root} ({f'id {mine[:8]}' if mine else 'which is not there'})"
    )


def answer(reply: Reply) -> Any:
    """The body of a good answer.

    Raises:
        UsageError: unknown id or place (404).
        DataError: what was sent is wrong (400, 413, 415, 422).
        RefusedError: state forbids it (409, 423).
        UnavailableError: not able now (503 and other faults).
    """
    if reply.status < 400:
        return reply.body
    text = reply.body.get("message") if isinstance(reply.body, dict) else None
    kinds = {404: UsageError, 409: RefusedError, 423: RefusedError}
    fault = kinds.get(reply.status, DataError if reply.status < 500 else UnavailableError)
    raise fault(f"executor: {text or f'status {reply.status}'}")


def about(health: Mapping[str, Any]) -> dict[str, Any]:
    """Of whose money this is: mode, end of the account, simulated or not."""
    return {name: health.get(name) for name in ("mode", "account", "simulated")}
