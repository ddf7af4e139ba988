"""Room: adapters/simulated. Alarms over time, metric and composite. It sets no alarm by itself.

Facts: CloudWatch's StateValue is OK, ALARM or INSUFFICIENT_DATA (API model); a new alarm begins with
INSUFFICIENT_DATA; a state stays until the next evaluation (User Guide, "Using Amazon CloudWatch alarms").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.model.ids import AccountId, Digest

__all__ = ["STATES", "AlarmSeries", "reading_of"]

STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmSeries:
    """One alarm of a stack and its states, one for each `period`; the last one stays.

    states: values of STATES; the empty text for an alarm that CloudWatch does not know (somebody has deleted it).
    template: the series begins whenever this template's deployment is complete, and holds only while it runs;
    without it the series begins at `begins`, whatever runs. Before it begins the alarm is OK. account, stack None:
    in every one.
    """

    name: str
    states: tuple[str, ...]
    period: timedelta = timedelta(minutes=5)
    template: Digest | None = None
    begins: datetime | None = None
    account: AccountId | None = None
    stack: str | None = None
    composite: bool = False

    def concerns(self, account: AccountId, stack: str) -> bool:
        return self.account in (None, account) and self.stack in (None, stack)

    def state_at(self, now: datetime, runs: Digest | None, since: datetime | None) -> str | None:
        """runs, since: which template runs in the stack, and since when. None where the series does not hold."""
        start = self.begins if self.template is None else since
        if self.template is not None and runs != self.template:
            return None
        if start is None or now < start or not self.states:
            return "OK"
        return self.states[min((now - start) // self.period, len(self.states) - 1)]


def reading_of(states: dict[str, str], ignored: frozenset[str]) -> tuple[bool, bool, str]:
    """(healthy, readable, reason), as the port says: ALARM first, then what cannot be read."""
    found = {name: state for name, state in states.items() if name not in ignored}
    ringing = [name for name, state in found.items() if state == "ALARM"]
    if ringing:
        return False, True, f"{', '.join(ringing)} is in ALARM"
    dark = [f"{name} {_dark(state)}" for name, state in found.items() if state != "OK"]
    return not dark, not dark, ", ".join(dark)


def _dark(state: str) -> str:
    return "has INSUFFICIENT_DATA" if state == "INSUFFICIENT_DATA" else "is not there"
