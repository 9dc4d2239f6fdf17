"""Which nine models a gate proposes: per name the candidate, the incumbent, or none.

Pure (models specification, 8.2); imports neither torch nor numpy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import Json
from bft.models.gates import Evidence, Judgement, Profile, judge_model, verdict
from bft.models.model_set import AGES_DAYS, EXPIRES_DAYS, Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands for one name: the newest trained, the one in production, what is known."""

    name: str
    candidate: Entry | None
    incumbent: Entry | None
    incumbent_age_days: int | None = None
    evidence: Evidence | None = None

    @property
    def same(self) -> bool:
        """The candidate is the model in production."""
        return bool(
            self.candidate and self.incumbent and self.candidate.digest == self.incumbent.digest
        )

    @property
    def usable_incumbent(self) -> Entry | None:
        """The incumbent, unless it is absent or expired."""
        age = self.incumbent_age_days
        known = self.incumbent is not None and self.incumbent.digest is not None
        return self.incumbent if known and age is not None and age <= EXPIRES_DAYS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The entry proposed for a name, why, and every judgement on the way."""

    entry: Entry
    verdict: str
    reason: str
    judgements: tuple[Judgement, ...] = ()


def combined(profiles: Sequence[Profile]) -> Profile:
    """Several profiles as one: all rules, the strictest of the rest."""
    if len(profiles) == 1:
        return profiles[0]
    rules = {(rule.id, rule): rule for profile in profiles for rule in profile.rules}
    undecided = {profile.inconclusive for profile in profiles}
    return Profile(
        profile=",".join(profile.profile for profile in profiles),
        rules=tuple(rules.values()),
        inconclusive="incumbent" if "incumbent" in undecided else "candidate",
        vacant_only=all(profile.vacant_only for profile in profiles),
        absent_at_most=min(profile.absent_at_most for profile in profiles),
    )


def needs_evidence(profile: Profile, standing: Standing) -> bool:
    """Tell whether the candidate of a name is judged at all."""
    kept = profile.vacant_only and standing.usable_incumbent is not None
    return standing.candidate is not None and not kept


def choose(profile: Profile, standing: Standing) -> Choice:
    """Candidate if its rules pass, else the incumbent, else none."""
    if not needs_evidence(profile, standing):
        return _fallback(standing, "kept" if standing.candidate else "no_candidate", ())
    judged = tuple(judge_model(profile, standing.name, standing.evidence or Evidence(readings={})))
    found = verdict(judged, profile)
    candidate = standing.candidate
    if candidate is None or found == "fail":
        return _fallback(standing, "failed", judged)
    if standing.same:
        return _made(standing.incumbent, found, "same_model", judged, origin="incumbent")
    if (
        found == "inconclusive"
        and standing.usable_incumbent
        and not _aged(profile, standing, judged)
    ):
        return _made(standing.incumbent, found, "inconclusive", judged, origin="incumbent")
    return _made(candidate, found, found, judged, origin="candidate")


def set_verdict(
    profile: Profile, choices: Mapping[str, Choice], judgements: Sequence[Judgement]
) -> str:
    """Verdict of a proposal: its set rules, its names without a model, what stayed open."""
    absent = [name for name in MODEL_NAMES if choices[name].entry.digest is None]
    if len(absent) > profile.absent_at_most:
        return "fail"
    found = verdict(judgements, profile)
    open_candidates = any(
        one.verdict == "inconclusive" and one.entry.origin == "candidate"
        for one in choices.values()
    )
    return "inconclusive" if found == "pass" and open_candidates else found


def no_model_rows(profile: Profile, choices: Mapping[str, Choice]) -> list[Judgement]:
    """One row per name that has neither candidate nor incumbent."""
    absent = [name for name in MODEL_NAMES if choices[name].entry.digest is None]
    found = "fail" if len(absent) > profile.absent_at_most else "warn"
    return [
        Judgement(
            id="no_model",
            scope="model",
            model=name,
            metric="models",
            value=None,
            threshold=f"at most {profile.absent_at_most} absent",
            margin=None,
            ci=None,
            verdict=found,
            reason="no_model",
        )
        for name in absent
    ]


def as_json(choice: Choice) -> Json:
    """A choice as a row of the gate report."""
    entry = choice.entry
    return {
        "name": entry.name,
        "origin": entry.origin,
        "version": entry.version,
        "digest": entry.digest,
        "verdict": choice.verdict,
        "reason": choice.reason,
    }


def _aged(profile: Profile, standing: Standing, judged: Sequence[Judgement]) -> bool:
    """An incumbent over 30 days old yields to a candidate not shown worse."""
    tolerance = {rule.id: rule.tolerance for rule in profile.rules if rule.kind == "incumbent"}
    gaps = [(one.value, tolerance[one.id]) for one in judged if one.id in tolerance]
    close = all(isinstance(mean, float) and mean >= -allowed for mean, allowed in gaps)
    return (standing.incumbent_age_days or 0) > AGES_DAYS and bool(gaps) and close


def _fallback(standing: Standing, reason: str, judged: tuple[Judgement, ...]) -> Choice:
    incumbent = standing.incumbent
    if incumbent is not None and incumbent.digest is not None:
        found = "fail" if reason == "failed" else "pass"
        return _made(incumbent, found, reason, judged, origin="incumbent")
    absent = Entry(name=standing.name, version=None, digest=None, train_end=None, origin="absent")
    return Choice(entry=absent, verdict="fail", reason="no_model", judgements=judged)


def _made(
    entry: Entry | None, found: str, reason: str, judged: tuple[Judgement, ...], *, origin: str
) -> Choice:
    if entry is None:
        raise ValueError("no entry to take")
    return Choice(
        entry=replace(entry, origin=origin), verdict=found, reason=reason, judgements=judged
    )
