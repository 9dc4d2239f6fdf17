"""Sentences by a model of an ollama server; without an answer the template speaks."""

import re
from collections.abc import Mapping

import httpx
import ollama
import structlog

from bft.adapters.llm.template import Template

TIMEOUT_S = 60.0
GIVE_UP_AFTER = 3
"""Failures in a row after which the server is not asked again in this run."""
SENTENCES = 4
_TASK = """You describe one stock to a careful reader. Write at most {count} short sentences in
plain English, one per line. Use only the facts below. Copy every figure exactly as written, sign
and unit included. Never compute, round, compare with other stocks, guess a cause or advise.

Stock: {symbol}
{facts}"""

log = structlog.get_logger()


class Ollama:
    """The Summarizer over the ollama library; temperature 0 and a fixed seed.

    It asks for the first `limit` symbols, so that a night's time has a bound.
    """

    def __init__(self, url: str, model: str, *, limit: int, timeout_s: float = TIMEOUT_S) -> None:
        self.name = f"ollama {model}"
        self.fallbacks = 0
        self._model, self._template = model, Template()
        self._client = ollama.Client(host=url, timeout=timeout_s)
        self._failed_in_a_row, self._left = 0, limit

    def summarize(self, symbol: str, facts: Mapping[str, object]) -> list[str]:
        """Sentences of the model, or the template's when it does not answer."""
        if self._left > 0 and self._failed_in_a_row < GIVE_UP_AFTER:
            self._left -= 1
            sentences = self._ask(symbol, facts)
            if sentences:
                return sentences
        self.fallbacks += 1
        return self._template.summarize(symbol, facts)

    def _ask(self, symbol: str, facts: Mapping[str, object]) -> list[str]:
        listed = "\n".join(f"{name.replace('_', ' ')}: {cell}" for name, cell in facts.items())
        task = _TASK.format(count=SENTENCES, symbol=symbol, facts=listed)
        try:
            answer = self._client.generate(
                model=self._model, prompt=task, options={"temperature": 0, "seed": 1}, stream=False
            )
        except (ollama.ResponseError, httpx.HTTPError, ConnectionError) as error:
            self._failed_in_a_row += 1
            log.warning("report.no_summary", symbol=symbol, reason=str(error))
            return []
        self._failed_in_a_row = 0
        return _sentences(answer.response or "")


def _sentences(text: str) -> list[str]:
    lines = (re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line][:SENTENCES]
