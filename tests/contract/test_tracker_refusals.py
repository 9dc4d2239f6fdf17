"""What MLflow's client makes of a server's answers, and what exit code it becomes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from fakes import FakePorts, FixedClock

from bft.adapters.tracker.mlflow import MlflowTracker
from bft.domain.errors import BftError, ConfigError, DataError, UnavailableError

pytestmark = pytest.mark.filterwarnings("ignore")  # of libraries that MLflow imports

EXPERIMENT = {"experiment": {"experiment_id": "1", "name": "bft", "lifecycle_stage": "active"}}


@contextmanager
def server(status: int, body: bytes, *, opens: bool = True) -> Iterator[str]:
    """Answers everything so, but lets a session open first where `opens`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            opened = opens and "experiments/get-by-name" in self.path
            said = json.dumps(EXPERIMENT).encode() if opened else body
            self.send_response(200 if opened else status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_about: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    often = {"poll_interval": 0.02}
    thread = Thread(target=http.serve_forever, kwargs=often, daemon=True)
    thread.start()
    try:
        yield f"http://bft:hunter2@127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def said(code: str, text: str = "no") -> bytes:
    return json.dumps({"error_code": code, "message": text}).encode()


def tracker(ports: FakePorts, url: str, log: list[str]) -> MlflowTracker:
    return MlflowTracker(
        url,
        database=None,
        store=ports.store,
        clock=FixedClock(),
        log=lambda *about, **values: log.append(f"{about} {values}"),
    )


ANSWERS = [
    (400, said("INVALID_PARAMETER_VALUE", "a bad name"), DataError),
    (401, b"<html>who are you</html>", ConfigError),
    (403, said("PERMISSION_DENIED"), ConfigError),
    (404, b"<html>no such page</html>", ConfigError),
    (405, b"<html>not so</html>", DataError),
    (429, said("REQUEST_LIMIT_EXCEEDED"), UnavailableError),
    (500, said("INTERNAL_ERROR"), UnavailableError),
    (503, b"<html>later</html>", UnavailableError),
]
ABOUT_ONE_MODEL = [  # to a first opening these are no refusals
    (404, said("RESOURCE_DOES_NOT_EXIST"), DataError),
    (400, said("RESOURCE_ALREADY_EXISTS"), DataError),
]


@pytest.mark.parametrize(
    ("status", "body", "kind", "opens"),
    [(*one, True) for one in [*ANSWERS, *ABOUT_ONE_MODEL]] + [(*one, False) for one in ANSWERS],
)
def test_refusal_that_lasts_is_not_tried_again(
    ports: FakePorts, status: int, body: bytes, kind: type[BftError], opens: bool
) -> None:
    log: list[str] = []
    with server(status, body, opens=opens) as url, pytest.raises(BftError) as caught:
        tracker(ports, url, log).tag_version("bft-x", "1", "key", "value")
    assert type(caught.value) is kind
    assert "127.0.0.1" in str(caught.value)
    assert "hunter2" not in f"{caught.value}{log}"


def test_work_is_kept_while_a_server_lets_nobody_in(ports: FakePorts) -> None:
    """A wrong password is mended by a person; what was trained meanwhile is logged then."""
    log: list[str] = []
    with server(401, b"<html>who are you</html>", opens=False) as url:
        made = tracker(ports, url, log)
        made.start("train", run_key="one", tags={})
        made.finish("one")
    assert len(ports.store.keys("spool/mlflow/")) >= 1
    assert "hunter2" not in str(log)


def test_server_that_does_not_answer_is_named_without_its_password(ports: FakePorts) -> None:
    log: list[str] = []
    made = tracker(ports, "http://bft:hunter2@127.0.0.1:9", log)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9 ") as caught:
        made.versions("bft-x")
    assert "hunter2" not in f"{caught.value}{log}"
