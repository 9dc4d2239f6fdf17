"""By hand: past days, pulled in parallel, then built once (platform spec, 1.4)."""

from hera.workflows import DAG, Parameter

from workflows.common import (
    AR,
    ROOT,
    chain,
    done,
    given,
    handed,
    output,
    semaphore,
    step,
    task,
    workflow,
)

LAST = f"--asof {handed('last')} {ROOT}"
FROM, TO = given("from"), given("to")

plan = step(
    "plan",
    f"workflow due backfill --from {FROM} --to {TO} {ROOT}",
    effect="pure",
    retries="P",
    pod="tiny",
    limits=("5m", 60),
    inputs=(),
    outputs=("days", "last"),
)
pull = step(
    "pull",
    f"pull {AR} --source {given('source')}",
    effect="replace",
    retries="T",
    pod="light",
    limits=("2h", 3600),
    lock=semaphore("pull"),
)
build = step(
    "build",
    chain(f"gold {LAST} --full", f"validate {LAST}"),
    effect="replace",
    retries="P",
    pod="heavy",
    limits=("4h", 10_800),
    inputs=("last",),
    lock="bft-tables",
)
score = step(
    "score",
    f"predict {LAST} --walk-forward {FROM}",
    effect="replace",
    retries="T",
    pod="score",
    limits=("4h", 10_800),
    inputs=("last",),
    lock="bft-tables",
    says=("--param forecasts=true is given", "--param forecasts=true was not given"),
)

last = {"last": output("plan", "last")}
main = DAG(
    name="main",
    tasks=[
        task(plan),
        task(
            pull,
            depends=done("plan"),
            with_param=output("plan", "days"),
            arguments={"asof": "{{item}}"},
        ),
        task(build, depends=done("pull"), arguments=last),
        task(
            score,
            depends=done("build"),
            when=f"{given('forecasts')} == true",
            arguments=last,
        ),
    ],
)
BACKFILL = [
    workflow(
        "backfill",
        [main, plan, pull, build, score],
        parameters=[
            *"root image image-train source pod-light pod-heavy pod-score".split(),
            Parameter(name="from", value=""),
            Parameter(name="to", value=""),
            Parameter(name="forecasts", value="false"),
        ],
        deadline_s=86_400,
    )
]
