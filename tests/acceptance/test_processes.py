"""Real processes that are killed, stopped, starved and silenced: nothing is executed twice, the journal stays whole,
what is said agrees with it, and the same command goes on.

Every case releases one more version of a tiny service to two clients on a local AWS of its own.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.local.front import process
from tests.acceptance.crew import Crew, a_crew
from tests.local_aws import Front

pytestmark = [pytest.mark.local_aws, pytest.mark.processes]

_GROUPS = 2
"""Workers that share the cases, each with a local AWS of its own."""
_CRASH = "a fault in Tidegate itself"


def spread(cases: Sequence[Any], *, odd: int = 0) -> list[Any]:
    """Cases dealt out to the workers in turn. A tuple is a case of several values."""
    marks = [pytest.mark.xdist_group(f"processes-{(n + odd) % _GROUPS}") for n in range(len(cases))]
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=mark)
        for case, mark in zip(cases, marks, strict=True)
    ]


@pytest.fixture
def crew(whole_crew: Crew) -> Iterator[Crew]:
    """As the case before has left it, in order."""
    before = whole_crew.number
    yield whole_crew
    if whole_crew.number > before and whole_crew.begun() != whole_crew.expected:
        whole_crew.recover()


@pytest.fixture(scope="module")
def whole_crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    home = tmp_path_factory.mktemp("processes")
    with process.running(home / "aws") as started:
        crew = a_crew(Front(home=home / "aws", running=started), home / "project")
        yield crew
        crew.company.release("audit", "verify")


# --- killed, at any moment -------------------------------------------------------------------------


@pytest.mark.parametrize("moment", spread([1, 3, 5, 7, 8, 9, 11, 14, 20, 27]))
def test_a_promotion_killed_at_any_event_is_finished_by_the_same_command(crew: Crew, moment: int) -> None:
    release = crew.proven()
    runner = crew.start("promote", release, "--json-stream", "--until", "done")
    runner.until(moment)
    runner.send(signal.SIGKILL)
    assert runner.answer().code in (-signal.SIGKILL, 0)
    crew.check(release)
    crew.finish(release)


@pytest.mark.parametrize("pause", spread([0.2, 0.7]))
def test_a_promotion_killed_before_its_first_event_leaves_nothing_to_mend(crew: Crew, pause: float) -> None:
    release = crew.proven()
    runner = crew.start("promote", release, "--until", "done")
    time.sleep(pause)
    runner.send(signal.SIGKILL)
    runner.answer()
    crew.check(release)
    crew.finish(release)


@pytest.mark.parametrize(("first", "second"), spread([(2, 5), (8, 3)], odd=1))
def test_a_promotion_killed_twice_is_finished_by_the_same_command(
    crew: Crew, first: int, second: int
) -> None:
    release = crew.proven()
    for moment in (first, second):
        runner = crew.start("promote", release, "--json-stream", "--until", "done")
        runner.until(moment)
        runner.send(signal.SIGKILL)
        runner.answer()
        crew.check(release)
    crew.finish(release)


@pytest.mark.xdist_group("processes-0")
def test_a_promotion_killed_while_aws_executes_finds_its_operation_again(crew: Crew) -> None:
    release = crew.proven(held=True)
    runner = crew.start("promote", release, "--json-stream", "--until", "done")
    assert len(crew.in_flight()) == 1
    runner.until(1, "ExecutionStarted")
    runner.send(signal.SIGKILL)
    runner.answer()
    crew.check(release)
    again = crew.start("promote", release, "--until", "done")
    _let_everybody_go(crew, again)
    assert again.answer().code == 0
    crew.done(release)


@pytest.mark.parametrize("moment", spread([2, 7]))
def test_a_rollback_killed_at_any_line_is_finished_by_the_same_command(crew: Crew, moment: int) -> None:
    release = crew.proven()
    before = crew.current
    crew.finish(release)
    command = ("--yes", "rollback", release, "--all", "--reason", "recalled")
    runner = crew.start(*command)
    runner.until_said(moment)
    runner.send(signal.SIGKILL)
    runner.answer()
    crew.check(release)
    crew.company.release(*command)
    crew.expected = {client: count + 1 for client, count in crew.expected.items()}
    assert crew.seen() == {client: (count, count) for client, count in crew.expected.items()}
    assert crew.run(release).run == "ROLLED_BACK"
    crew.runs_everywhere(before)


# --- asked to stop ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "moment"),
    spread(
        [
            (signal.SIGTERM, 1),
            (signal.SIGTERM, 9),
            (signal.SIGTERM, 21),
            (signal.SIGINT, 4),
            (signal.SIGINT, 18),
        ]
    ),
)
def test_a_promotion_that_is_asked_to_stop_ends_at_a_clean_checkpoint(
    crew: Crew, number: signal.Signals, moment: int
) -> None:
    release = crew.proven()
    runner = crew.start("promote", release, "--json-stream", "--until", "done")
    runner.until(moment)
    runner.send(number)
    answer = runner.answer()
    assert answer.code in (128 + number, 0), str(answer)
    assert _CRASH not in answer.err
    if answer.code:
        assert "the same command goes on from here" in answer.err
    crew.check(release, answer.code)
    crew.finish(release)


@pytest.mark.parametrize("first", spread([signal.SIGTERM, signal.SIGINT]))
def test_a_second_signal_stops_at_once_and_still_leaves_nothing_to_mend(
    crew: Crew, first: signal.Signals
) -> None:
    release = crew.proven(held=True)
    runner = crew.start("promote", release, "--json-stream", "--until", "done")
    crew.in_flight()
    runner.send(first)
    runner.send(signal.SIGINT)
    answer = runner.answer()
    assert answer.code in (130, 128 + first), str(answer)
    assert _CRASH not in answer.err
    crew.check(release, answer.code)
    again = crew.start("promote", release, "--until", "done")
    _let_everybody_go(crew, again)
    assert again.answer().code == 0
    crew.done(release)


# --- asleep while another takes over ---------------------------------------------------------------


@pytest.mark.parametrize("kind", spread(["TargetClaimed", "ChangeSetMade", "ExecutionIntended"], odd=1))
def test_a_runner_that_sleeps_through_a_take_over_executes_nothing_when_it_wakes(
    crew: Crew, kind: str
) -> None:
    release = crew.proven()
    late = crew.start("promote", release, "--json-stream", "--until", "done", TIDEGATE_LEASE_SECONDS="1")
    late.until(1, kind)
    crew.asleep(late)
    time.sleep(1.1)
    crew.finish(release)
    before = crew.begun()
    late.send(signal.SIGCONT)
    answer = late.answer()
    assert answer.code in (5, 0), str(answer)
    assert _CRASH not in answer.err
    assert crew.begun() == before
    crew.check(release)


@pytest.mark.xdist_group("processes-1")
def test_a_runner_asleep_while_aws_executes_leaves_the_rest_to_whoever_took_over(crew: Crew) -> None:
    release = crew.proven(held=True)
    late = crew.start("promote", release, "--json-stream", "--until", "done", TIDEGATE_LEASE_SECONDS="1")
    crew.in_flight()
    late.until(1, "ExecutionStarted")
    crew.asleep(late)
    time.sleep(1.1)
    other = crew.start("promote", release, "--until", "done")
    _let_everybody_go(crew, other)
    assert other.answer().code == 0
    crew.done(release)
    before = crew.begun()
    late.send(signal.SIGCONT)
    assert late.answer().code == 5
    assert crew.begun() == before


# --- no room ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", spread([0, 30_000, 90_000, 200_000]))
def test_without_room_for_its_state_a_promotion_stops_and_goes_on_once_there_is_some(
    crew: Crew, room: int
) -> None:
    release = crew.proven()
    _fold_state(crew)
    runner = crew.start("promote", release, "--until", "done", before=_files_of_at_most(room))
    answer = runner.answer()
    assert answer.code in (0, 1), str(answer)
    assert _CRASH not in answer.err
    crew.check(release, answer.code)
    crew.finish(release)


def _fold_state(crew: Crew) -> None:
    """SQLite's log into its file, so that the log begins at nothing."""
    with contextlib.closing(sqlite3.connect(crew.company.root / ".tidegate" / "state.db")) as state:
        state.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _files_of_at_most(size: int) -> Callable[[], None]:
    """A disk without room, for one process and without being root: what lies beyond cannot be written."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


# --- nobody listens --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "shell", "codes"),
    spread(
        [
            ("promote", '"$@" >&-', (0,)),
            ("promote", '"$@" >&- 2>&- <&-', (0,)),
            ("promote --json-stream", '"$@" >&-', (0,)),
            ("promote", '"$@" > /dev/full', (1,)),
            ("promote --json-stream", '"$@" > /dev/full', (1,)),
            ("promote", '"$@" 2> /dev/full', (0,)),
            ("promote --json", '{ "$@"; echo $? > "$CODE"; } | head -1', (0, 1)),
            ("promote --json-stream", '{ "$@"; echo $? > "$CODE"; } | head -1', (0, 1)),
            ("promote", '{ "$@" 2>&1; echo $? > "$CODE"; } | head -1', (0, 1)),
        ]
    ),
)
def test_a_promotion_to_which_nobody_listens_is_never_left_half_done_in_silence(
    crew: Crew, tmp_path: Path, words: str, shell: str, codes: tuple[int, ...]
) -> None:
    release = crew.proven()
    verb, *options = words.split()
    code_file = tmp_path / "code"
    runner = crew.start(verb, release, *options, "--until", "done", shell=shell, CODE=str(code_file))
    answer = runner.answer()
    code = int(code_file.read_text()) if code_file.exists() else answer.code
    assert code in codes, str(answer)
    assert _CRASH not in answer.err
    crew.check(release, code)
    crew.finish(release)


@pytest.mark.parametrize("verb", spread(["history"]))
def test_a_reader_that_leaves_early_gets_no_traceback(crew: Crew, verb: str) -> None:
    named = (verb,) if verb == "fleet" else (verb, crew.current)
    answer = crew.start(*named, "--json", shell='"$@" | head -1').answer()
    assert answer.code == 0
    assert answer.out.strip() == "{"
    assert "Traceback" not in answer.err
    assert _CRASH not in answer.err


# --- nobody to ask ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", spread(["", '"$@" <&-', 'echo y | "$@"']))
def test_a_question_without_a_terminal_exits_2_with_the_command_to_type(crew: Crew, shell: str) -> None:
    release = crew.current
    words = ("rollback", release, "--all", "--reason", "it's dark")
    answer = crew.start(*words, shell=shell).answer()
    assert answer.code == 2, str(answer)
    assert _CRASH not in answer.err
    assert f"`release --yes rollback {release} --all --reason 'it'\"'\"'s dark'`" in answer.err
    assert crew.run(release).run == "SUCCEEDED"
    assert crew.begun() == crew.expected


# --- several at once -------------------------------------------------------------------------------


@pytest.mark.parametrize("runners", spread([3]))
def test_of_runners_that_begin_at_once_one_promotes_and_the_others_exit_5(crew: Crew, runners: int) -> None:
    release = crew.proven()
    started = [crew.start("promote", release, "--until", "done") for _ in range(runners)]
    answers = [runner.answer() for runner in started]
    codes = sorted(answer.code for answer in answers)
    assert codes[0] == 0, "\n".join(map(str, answers))
    # Whoever came after the first had finished has nothing to do, and says so with exit 0; one that planned before
    # another's plan was fixed is told that its own is stale, or that AWS has dropped the change set it looked at.
    planning = ("[E114]", "[E115]")
    odd = [a for a in answers if a.code not in (0, 5, 9) and not any(code in a.err for code in planning)]
    assert odd == []
    crew.done(release)


@pytest.mark.parametrize("moment", spread([2, 13]))
def test_a_halt_while_it_runs_lets_nothing_else_begin(crew: Crew, moment: int) -> None:
    release = crew.proven()
    runner = crew.start("promote", release, "--json-stream", "--until", "done")
    runner.until(moment)
    crew.company.release("halt", release, "--reason", "the phones ring")
    answer = runner.answer()
    assert answer.code in (3, 0), str(answer)
    crew.check(release, answer.code)
    if answer.code == 3:
        halted = crew.begun()
        crew.company.release("promote", release, "--until", "done", code=3)
        assert crew.begun() == halted
        crew.company.release("resume", release, "--reason", "it was the neighbour's")
    crew.finish(release)


@pytest.mark.parametrize("moment", spread([3, 20]))
def test_a_rollback_while_it_runs_takes_over_and_leaves_every_account_where_it_was(
    crew: Crew, moment: int
) -> None:
    release = crew.proven()
    before = crew.current
    runner = crew.start("promote", release, "--json-stream", "--until", "done")
    runner.until(moment)
    crew.company.release("--yes", "rollback", release, "--all", "--reason", "recalled")
    answer = runner.answer()
    assert answer.code in (0, 3, 5), str(answer)
    assert _CRASH not in answer.err
    seen = crew.begun()
    assert {count - crew.expected[client] for client, count in seen.items()} <= {0, 2}
    assert crew.seen() == {client: (count, count) for client, count in seen.items()}
    crew.expected = seen
    crew.check(release)
    crew.runs_everywhere(before)


# --- parts -----------------------------------------------------------------------------------------


def _let_everybody_go(crew: Crew, runner: Any) -> None:
    """Signal whatever waits until this command has come to its end."""
    while runner.popen.poll() is None:
        crew.let_go()
        time.sleep(0.05)
