"""Stages: made once, made again for a reason that is said, never taken half-made."""

import threading
import time
from pathlib import Path

import pytest

from edgewright.data.files import write_text
from edgewright.errors import EdgewrightError, UsageError
from edgewright.pipeline.graph import Graph, Stage


class Workshop:
    """Two stages, the second after the first, that count how often they are made."""

    def __init__(self, build: Path) -> None:
        self.build = build
        self.made: list[str] = []

    def graph(self, first: int = 1, second: int = 1, fail: bool = False) -> Graph:
        def produce(name: str) -> None:
            self.made.append(name)
            if fail:
                raise EdgewrightError("in the middle")

        def write(name: str, folder: Path) -> None:
            write_text(folder / "half.txt", name)
            produce(name)

        one = Stage("one", lambda to, _: write("one", to), settings={"value": first})
        two = Stage("two", lambda to, _: write("two", to), after=(one,), settings={"value": second})
        return Graph(self.build, [one, two])


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_a_second_run_makes_nothing(workshop: Workshop) -> None:
    workshop.graph().run()
    workshop.graph().run()
    assert workshop.made == ["one", "two"]
    assert [step.cached for step in workshop.graph().plan()] == [True, True]


def test_a_changed_setting_makes_its_stage_and_what_follows(workshop: Workshop) -> None:
    workshop.graph().run()
    plan = workshop.graph(second=2).plan()
    assert [(step.cached, step.reason) for step in plan] == [
        (True, "its result is there"),
        (False, "changed: setting value"),
    ]
    reasons = [step.reason for step in workshop.graph(first=2).plan()]
    assert reasons == ["changed: setting value", "changed: stage one"]


def test_going_back_to_an_earlier_setting_reuses_its_result(workshop: Workshop) -> None:
    workshop.graph().run()
    workshop.graph(second=2).run()
    workshop.graph().run()
    assert workshop.made == ["one", "two", "two"]


def test_from_makes_a_stage_and_what_follows_again(workshop: Workshop) -> None:
    workshop.graph().run()
    workshop.graph().run(start="two")
    assert workshop.made == ["one", "two", "two"]
    workshop.graph().run(start="one")
    assert workshop.made[3:] == ["one", "two"]


def test_from_an_unknown_stage_lists_the_stages(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="no stage is called 'three'; stages: one, two"):
        workshop.graph().run(start="three")


def test_a_stage_that_fails_leaves_nothing_that_could_be_taken_for_a_result(workshop: Workshop) -> None:
    with pytest.raises(EdgewrightError):
        workshop.graph(fail=True).run()
    assert not any(path.name.startswith("one") for path in workshop.build.iterdir())
    workshop.graph().run()
    assert workshop.made == ["one", "one", "two"]


def test_only_what_is_needed_is_made(workshop: Workshop) -> None:
    workshop.graph().run(only={"one"})
    assert workshop.made == ["one"]
    workshop.graph().run(only={"two"})
    assert workshop.made == ["one", "two"]


def test_a_damaged_note_of_the_last_run_only_costs_the_explanation(workshop: Workshop) -> None:
    workshop.graph().run()
    (workshop.build / "last.json").write_text("{", encoding="utf-8")
    assert workshop.graph(second=2).plan()[1].reason == "never made here"


def test_a_follower_waits_for_what_the_first_process_makes(workshop: Workshop) -> None:
    """Of two processes of torchrun, the second makes no stage that is not joint."""
    follower = Graph(workshop.build, workshop.graph().stages, follower=True)
    waiting = threading.Thread(target=follower.run)
    waiting.start()
    time.sleep(0.1)
    assert waiting.is_alive() and workshop.made == []
    workshop.graph().run()
    waiting.join(timeout=10)
    assert not waiting.is_alive() and workshop.made == ["one", "two"]
