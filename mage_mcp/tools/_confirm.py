"""How a change gets a person's yes: asked where the client can ask, by preview and code where it cannot."""

import time
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from mcp.server.mcpserver import AcceptedElicitation, CancelledElicitation, Context, DeclinedElicitation, Elicit
from pydantic import BaseModel, Field

from mage_mcp.client.deadline import current_deadline
from mage_mcp.errors import MageRefused
from mage_mcp.text import one_line
from mage_mcp.tools._deps import App

ANSWER_WITHIN_S = 300.0
"""How long a person has, where the question holds the call open (protocols before 2026-07-28)."""
_LONGEST_LINE = 500
MOST_QUESTIONS = 3
"""Where the world keeps changing between question and answer, nothing is done after so many."""


@dataclass(frozen=True)
class Plan:
    """What a call would do, worked out by reading only.

    `acts` are sentences that do not change while the world stays the same (ids sorted, nothing that ticks): they are
    what a person is asked about, and what is compared before acting. No acts: nothing would be lost, nobody is asked.
    """

    question: str = ""
    acts: tuple[str, ...] = ()

    @property
    def harmless(self) -> bool:
        return not self.acts


class Agreement(BaseModel):
    agree: bool = Field(description="Go ahead?")


Consent = AcceptedElicitation[Agreement] | DeclinedElicitation | CancelledElicitation


class Verdict(Enum):
    ACT = auto()
    PREVIEW = auto()
    DECLINED = auto()
    CANCELLED = auto()
    CHANGING = auto()
    GREW = auto()
    """Between the yes and the act it came to hold more than was agreed to."""


@dataclass
class Questions:
    """How often one call was asked about, each time differently: only this process needs to know."""

    _asked: dict[str, tuple[tuple[str, ...], int, float]] = field(default_factory=dict)

    def count(self, key: str, acts: tuple[str, ...], *, is_answer: bool) -> int:
        """The how-manieth question this is; asking the same again does not count."""
        now = time.monotonic()
        self._asked = {k: v for k, v in self._asked.items() if now - v[2] < 2 * ANSWER_WITHIN_S}
        before, times, _ = self._asked.get(key, ((), 0, now))
        if not is_answer:
            times = 1
        elif before != acts:
            times += 1
        self._asked[key] = (acts, times, now)
        return times


_questions = Questions()


def can_ask(ctx: Context[App]) -> bool:
    """The SDK's own rule: form elicitation, which a bare `elicitation: {}` means too."""
    capabilities = ctx.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def needs_nobody(plan: Plan, ctx: Context[App], *, protected: bool) -> bool:
    """Nothing would be lost, or the server runs unattended, which does not hold for protected clusters."""
    unattended = ctx.request_context.lifespan_context.settings.confirm == "never" and not protected
    return plan.harmless or unattended


def ask(plan: Plan, ctx: Context[App], *, key: str, protected: bool) -> Agreement | Elicit[Agreement]:
    """The resolver's part: a question, or a placeholder that `judge` looks behind.

    Raises MageRefused under MAGE_CONFIRM=person where no person can be asked.
    """
    if needs_nobody(plan, ctx, protected=protected):
        return Agreement(agree=True)
    if can_ask(ctx):
        if _questions.count(key, plan.acts, is_answer=ctx.input_responses is not None) > MOST_QUESTIONS:
            return Agreement(agree=False)
        if deadline := current_deadline():
            deadline.pause(at_most_s=ANSWER_WITHIN_S)
        lines = (plan.question, *(f"- {act}" for act in plan.acts))
        return Elicit("\n".join(one_line(line, _LONGEST_LINE) for line in lines), Agreement)
    if ctx.request_context.lifespan_context.settings.confirm == "person":
        raise MageRefused(
            "This needs a person's yes, and this client cannot ask one; nothing was changed.",
            next_step="Do it in Mage's own UI, or use a client that supports elicitation.",
        )
    return Agreement(agree=False)


def judge(
    plan: Plan, consent: Consent, ctx: Context[App], *, code: str, bound: dict[str, Any], key: str, protected: bool
) -> Verdict:
    """Whether to act. `bound` is what a code must have been made for."""
    if deadline := current_deadline():
        deadline.resume()
    if needs_nobody(plan, ctx, protected=protected):
        return Verdict.ACT
    if not can_ask(ctx):
        seal = ctx.request_context.lifespan_context.seal
        return Verdict.ACT if code and seal.opens(code, bound) else Verdict.PREVIEW
    if _questions.count(key, plan.acts, is_answer=True) > MOST_QUESTIONS:
        return Verdict.CHANGING
    if isinstance(consent, AcceptedElicitation):
        return Verdict.ACT if consent.data.agree else Verdict.DECLINED
    return Verdict.CANCELLED if isinstance(consent, CancelledElicitation) else Verdict.DECLINED
