"""Every evening: market data to forecasts, signals, picks and reports (platform spec, 1.2)."""

from hera.workflows import DAG, Parameter

from workflows.common import (
    AR,
    bad,
    chain,
    cron,
    done,
    ended,
    given,
    guarded,
    handed,
    output,
    step,
    task,
    workflow,
)

DEADLINE = f"--deadline {given('deadline')}"
BOOK = f"--positions {given('positions')} --trading {given('mode')}"
HOW = f"--profile {given('model-profile')} --compute {given('compute')}"

LACKING = ("a model is missing", "no model is missing")

build = step(
    "build",
    chain(f"pull {AR} --source {given('source')}", f"gold {AR}", f"validate {AR}", f"models {AR}"),
    effect="replace",
    retries="T",
    pod="heavy",
    limits=("3h", 7200),
    outputs=("missing", "missing_count", "mlflow_request"),
    lock="bft-tables",
)
train = step(
    "train-missing",
    f"train {handed('model')} {AR} {HOW}",
    effect="replace",
    retries="T",
    pod="train",
    limits=("8h", 21_600),
    inputs=("asof", "model"),
    says=LACKING,
)
gate = step(
    "gate-missing",
    f"gate {AR} --gates {given('gates-first')}",
    effect="pure",
    retries="P",
    pod="score",
    limits=("1h", 1800),
    outputs=("verdict",),
    says=LACKING,
)
ONCE = {"effect": "once", "retries": "N", "pod": "score"}
moves = {**ONCE, "limits": ("10m", 120), "lock": "bft-tables"}
passed = ("the gate passes the new models", "the gate did not pass the new models")
promote = step("promote-missing", f"promote {AR} --reason first-set", says=passed, **moves)
asked = ("an alias was moved in MLflow", "no alias was moved in MLflow")
adopt = step("adopt", f"promote {AR} --from-mlflow", says=asked, **moves)
score = step(
    "score",
    chain(f"predict {AR} {DEADLINE} --shadow", f"gate {AR} --live"),
    effect="replace",
    retries="T",
    pod="score",
    limits=("45m", 1200),
    outputs=("breached",),
    lock="bft-tables",
)
back = f"rollback {AR} --if-breached --reason live-gate"
broken = ("the live gate is breached", "the live gate is not breached")
demote = step("demote", back, **ONCE, limits=("5m", 60), says=broken)
rescore = step(
    "rescore",
    f"predict {AR} {DEADLINE}",
    effect="replace",
    retries="T",
    pod="score",
    limits=("45m", 1200),
    lock="bft-tables",
)
PAGES = {"effect": "replace", "retries": "T", "pod": "heavy", "lock": "bft-tables"}
publish = step(
    "publish",
    chain(f"scan {AR} --mode close {BOOK}", f"rank {AR}", f"screen {AR}", f"report {AR} --site"),
    limits=("1h", 3000),
    **PAGES,
)
mark = step("mark-failed", f"report {AR} --failed", limits=("1h", 3000), **PAGES)
unscored = step("mark-unscored", f"report {AR} --failed score", limits=("30m", 900), **PAGES)

night = DAG(
    name="night",
    inputs=[Parameter(name="asof")],
    target="build score rescore publish mark-failed mark-unscored",
    fail_fast=False,
    tasks=[
        task(build),
        task(
            train,
            depends=done("build"),
            with_param=output("build", "missing"),
            arguments={"model": "{{item}}"},
        ),
        task(
            gate,
            depends=f"{done('build')} && {ended('train-missing')}",
            when=output("build", "missing_count") + " != 0",
        ),
        task(
            promote,
            depends=done("gate-missing"),
            when=output("gate-missing", "verdict") + " == pass",
        ),
        task(
            adopt,
            depends=f"{done('build')} && {ended('promote-missing')}",
            when=output("build", "mlflow_request") + " != none",
        ),
        task(score, depends=f"{done('build')} && {ended('promote-missing')} && {ended('adopt')}"),
        task(demote, depends=done("score"), when=output("score", "breached") + " == true"),
        task(rescore, depends=done("demote")),
        task(unscored, depends=bad("score", "rescore")),
        task(
            publish,
            depends=f"{done('build')} && {ended('score')} && {ended('rescore')}"
            f" && {ended('mark-unscored')}",
        ),
        task(mark, depends=bad("build")),
    ],
)
containers = [build, train, gate, promote, adopt, score, demote, rescore, unscored, publish, mark]
NIGHTLY = [
    workflow(
        "nightly",
        [*guarded("nightly", night), *containers],
        parameters=(
            "root image image-train source model-profile compute gates-first mode positions"
            " pod-heavy pod-score pod-train asof deadline"
        ).split(),
        deadline_s=43_200,
    ),
    cron("nightly", ["30 18 * * 1-5", "0 21 * * 1-5", "0 5 * * 2-6"]),
]
