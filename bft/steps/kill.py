"""Pull the kill switch, look at it, or clear it.

Source: executor specification, section 9.
"""

import argparse
import getpass
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from bft.domain.advice import before_clear
from bft.domain.errors import BftError, RefusedError, UnavailableError, UsageError
from bft.domain.numbers import COUNT_OR_0
from bft.ports import ExecutorApi, Ports, Step, Summary, Tick
from bft.steps.asking import add_api, answer, other_root, own

FILE = "KILL"
NO_FLATTEN = ". The file closes no position: run bft kill --flatten again once it answers"
ASK_S = 5.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft kill`."""
    add_api(parser)
    parser.add_argument("--flatten", action="store_true", help="close all positions too")
    parser.add_argument("--reason", default="", help="why, for the record")
    parser.add_argument("--show", action="store_true", help="only show the switch")
    parser.add_argument(
        "--clear", type=COUNT_OR_0, metavar="GENERATION", help="open again (admin); see --show"
    )


def run(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    """Latch the switch: no opening order leaves any more; exits and protection stay.

    Where no executor answers, the file KILL is written, which one of this root obeys.

    Raises:
        RefusedError: another generation, or a source still says kill; the token may not; what is
            to be cleared is another root's.
        UnavailableError: no executor answers; says whether the file was written.
    """
    if args.show + (args.clear is not None) + args.flatten > 1:
        raise UsageError("--show, --clear and --flatten are three things; give one")
    if args.clear is not None:
        params = {"confirm": args.clear}
        return _told(answer(own(ports, args.api_url).ask("DELETE", "/v1/kill", params=params)))
    api = ports.executor(args.api_url)
    try:
        pulled = _shown(api) if args.show else _pull(api, args)
    except RefusedError:
        _warn(ports, api)
        raise
    except UnavailableError as error:
        if args.show:
            raise
        raise _by_file(ports, args, error) from error
    _warn(ports, api)
    return _told(pulled | {"first": before_clear(pulled.get("pulled_now"), _folder(ports, args))})


def _folder(ports: Ports, args: argparse.Namespace) -> str:
    return str(args.state_dir or ports.store.root)


def _shown(api: ExecutorApi) -> Any:
    return answer(api.ask("GET", "/v1/kill", wait_s=ASK_S))


def _warn(ports: Ports, api: ExecutorApi) -> None:
    """Say that another root's executor answered; only said, and after the switch was pulled."""
    with suppress(BftError):
        other = other_root(ports, api, answer(api.ask("GET", "/v1/health", wait_s=ASK_S)))
        if other is not None:
            sys.stderr.write(
                f"warning: {other}; that one's switch it is. An executor of this root is stopped "
                f"by its address in --api, or by a file {FILE} in its state folder\n"
            )


def _pull(api: ExecutorApi, args: argparse.Namespace) -> Any:
    body = {"flatten": args.flatten, "reason": args.reason[:500]}
    return answer(api.ask("POST", "/v1/kill", body=body, wait_s=ASK_S))


def _told(kill: Any) -> Summary:
    return Summary(values=dict(kill))


def _by_file(ports: Ports, args: argparse.Namespace, error: UnavailableError) -> UnavailableError:
    """Leave the file that an executor looks for ten times a second, and at its start."""
    folder = _folder(ports, args)
    if "://" in folder:
        return UnavailableError(f"{error}; no folder for the file KILL: set BFT_STATE_DIR")
    path = Path(folder) / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"bft kill by {getpass.getuser()}: {args.reason}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        return UnavailableError(f"{error}; {path}: {fault.strerror}; stop the executor by hand")
    return UnavailableError(
        f"{error}; wrote {path} instead: an executor with that folder latches at once or when it "
        "starts; make sure that it does" + (NO_FLATTEN if args.flatten else "")
    )


STEP = Step(
    effect="once",
    summary="Kill switch: stop opening at once and cancel entries; --flatten closes all.",
    arguments=arguments,
    run=run,
    writes=("kill switch of the executor",),
    outputs={
        "latched": "whether no opening order may leave",
        "generation": "what --clear must name",
        "sources": "who pulled it",
        "first": "what must be removed before --clear",
    },
    settings=("api_url", "state_dir"),
    code=("steps.kill",),
)
