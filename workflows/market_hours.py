"""Every quarter of an hour of a session: quotes, scan, execute (platform specification, 1.4)."""

from hera.workflows import DAG, Parameter

from workflows.common import (
    AR,
    cron,
    done,
    given,
    guarded,
    handed,
    output,
    step,
    task,
    workflow,
)

SLOT = f"--slot {handed('slot')}"

scan = step(
    "scan",
    f"scan {AR} --mode intraday --quotes {SLOT} --positions executor --trading {given('mode')}",
    effect="replace",
    retries=(2, 20, 2),
    pod="light",
    limits=("8m", 240),
    inputs=("asof", "slot"),
    outputs=("send",),
    lock="bft-tables",
)
execute = step(
    "execute",
    f"execute {AR} {SLOT} --mode {given('mode')} --wait 60",
    effect="once",
    retries="N",
    pod="order",
    limits=("4m", 180),
    inputs=("asof", "slot"),
    lock="bft-orders",
    says=("the scan has signals to send", "the scan has nothing to send"),
)

quarter = DAG(
    name="quarter",
    inputs=[Parameter(name="asof"), Parameter(name="slot")],
    tasks=[
        task(scan),
        task(execute, depends=done("scan"), when=output("scan", "send") + " == true"),
    ],
)
MARKET_HOURS = [
    workflow(
        "market-hours",
        [*guarded("market-hours", quarter), scan, execute],
        parameters="root image mode pod-light asof".split(),
        deadline_s=840,
        keep_s=7200,
    ),
    cron("market-hours", ["35,50 9 * * 1-5", "5,20,35,50 10-15 * * 1-5"], start_within_s=300),
]
