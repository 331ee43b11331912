import pytest
from pydantic import ValidationError

from edgewright.data import sources, tasks
from edgewright.data.rows import Kind, Row
from edgewright.data.tasks import TASKS, LabelledRows, Targets, Task, split_labels
from edgewright.errors import DataError, UsageError

COLOURS = Task("colours", "single_label", "emails", labels=("blue", "green", "red"), reject_label="oos")


def rows(*labels: str | None) -> list[Row]:
    return [Row(f"text {number}", label=label) for number, label in enumerate(labels)]


GATES: dict[Kind, tuple[str, ...]] = {
    "single_label": ("min_accuracy",),
    "tags": ("min_span_f1",),
    "sequence": ("max_bits", "min_auc"),
    "generation": ("max_perplexity_rise", "min_label_agreement_fp32"),
}


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: str(task.name))
def test_each_task_has_a_declared_source_and_a_gate_of_its_kind(task: Task) -> None:
    assert tasks.find(task.name) is task
    assert task.source in sources.SOURCES
    assert any(getattr(task.targets, gate, None) is not None for gate in GATES[task.kind])


@pytest.mark.parametrize("name", ["urgency", "sentiment", "category", "intent"])
def test_the_generated_rows_hold_every_label_that_a_task_lists(name: str) -> None:
    task = tasks.find(name)
    made = tasks.rows(task, "train", count=600, seed=3)
    assert split_labels(made, task).labels == task.labels
    assert {row.label for row in made} == set(task.labels)


def test_rows_become_class_numbers_and_rejected_rows_stand_apart() -> None:
    given = rows("red", "oos", "blue", "red")
    assert split_labels(given, COLOURS) == LabelledRows(
        ("blue", "green", "red"), (given[0], given[2], given[3]), (2, 0, 2), (given[1],)
    )


def test_a_task_without_labels_takes_those_of_the_training_rows_in_sorted_order() -> None:
    task = Task("any", "single_label", "emails", reject_label="oos")
    trained = split_labels(rows("pear", "apple", "oos", "pear"), task)
    assert trained.labels == ("apple", "pear")
    # evaluation rows do not change them, and may be of one class
    assert split_labels(rows("pear"), task, trained.labels).classes == (1,)


def test_an_unknown_label_is_named_with_its_row_and_the_closest_label() -> None:
    with pytest.raises(DataError, match=r"task colours, row 3: unknown label 'gren'; did you mean 'green'\?"):
        split_labels(rows("red", "blue", "gren"), COLOURS)
    with pytest.raises(DataError, match=r"row 1: unknown label '77'; known: blue, green, red"):
        split_labels(rows("77"), COLOURS)


def test_one_class_or_none_cannot_be_trained_on() -> None:
    with pytest.raises(DataError, match="only the class 'red'; a classifier needs at least two"):
        split_labels(rows("red", "red", "oos"), COLOURS)
    with pytest.raises(DataError, match="have no class"):
        split_labels(rows("oos"), COLOURS)


def test_a_row_without_label_is_an_error() -> None:
    with pytest.raises(DataError, match="row 2: the row has no label"):
        split_labels(rows("red", None), COLOURS)


@pytest.mark.parametrize("kind", ["multi_label", "score"])
def test_the_other_kinds_are_in_the_schema_and_say_that_they_are_not_available(kind: Kind) -> None:
    task = Task("later", kind, "emails")
    assert task.primary_metric in tasks.METRICS[kind]
    for ask in (lambda: split_labels([], task), lambda: tasks.rows(task, "train")):
        with pytest.raises(UsageError, match=f"task later: kind '{kind}' is not available in this version"):
            ask()


def test_an_unknown_task_is_answered_with_the_closest_name() -> None:
    with pytest.raises(UsageError, match=r"no task is called 'urgancy'; did you mean 'urgency'\?"):
        tasks.find("urgancy")


def test_a_wrong_task_or_target_is_refused() -> None:
    for wrong in (
        lambda: Task("a", "single_label", "emails", labels=("x", "x")),
        lambda: Task("a", "single_label", "emails", labels=("x", "y"), reject_label="x"),
        lambda: Task("a", "single_label", "emails", metric="perplexity"),
        lambda: Targets(min_accuracy=93),
        lambda: Targets(max_p50_ms=0),
        lambda: Targets(max_p50=1.0),  # type: ignore[call-arg]
    ):
        with pytest.raises(ValidationError):
            wrong()
