"""Before the open: the night's signals, so that collar orders meet the auction (platform, 1.4)."""

from hera.workflows import DAG, Parameter

from workflows.common import AR, ROOT, cron, done, given, guarded, step, task, workflow

ready = step(
    "ready",
    f"status --check orders {ROOT}",  # a halt or a limit must not keep the night's exits back
    effect="pure",
    retries=(10, 15, 1),
    pod="order",
    limits=("5m", 30),
    inputs=(),
)
execute = step(
    "execute",
    f"execute {AR} --mode {given('mode')} --wait 60",
    effect="once",
    retries="N",
    pod="order",
    limits=("4m", 180),
    lock="bft-orders",
)

before_open = DAG(
    name="before-open",
    inputs=[Parameter(name="asof")],
    tasks=[task(ready), task(execute, depends=done("ready"))],
)
PREMARKET = [
    workflow(
        "premarket",
        [*guarded("premarket", before_open), ready, execute],
        parameters="root image mode asof".split(),
        deadline_s=1200,
    ),
    cron("premarket", ["5,15,22 9 * * 1-5"], start_within_s=240),
]
