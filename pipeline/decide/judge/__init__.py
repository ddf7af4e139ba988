"""Floor 2, decide/judge: the canary judge: accounts on the new version against accounts on the old one. Pure.

It looks on and says what it sees; it starts nothing and stops nothing. What it assumes, and how often it is wrong,
stands in docs/judge.md. Standard library only, and no randomness but the evidence's own seed.
"""

from __future__ import annotations

from pipeline.decide.judge.looks import alpha_at, attainable, is_final, needed
from pipeline.decide.judge.replay import differences
from pipeline.decide.judge.verdict import judge

__all__ = ["alpha_at", "attainable", "differences", "is_final", "judge", "needed"]
