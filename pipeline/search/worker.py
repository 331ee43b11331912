"""The process that trains: `python -m edgewright.pipeline.search.worker`, spoken to in JSON lines.

One request a line on stdin, one answer a line on stdout. A request has a `command`, a `recipe` (its file), an `effort`
and a `build` folder. An answer is {"ok": ...}, {"refused": line} for a point that cannot be made, or {"failed": line}
for what no other point would escape. The process ends with its parent, so that a search that was killed leaves none
behind.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from edgewright.errors import EdgewrightError, ExportError, UsageError

PARENT_SECONDS = 0.5


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked."""
    from edgewright.pipeline.search import trial as trials

    commands: dict[str, Callable[[trials.Trial], Any]] = {
        "draft": lambda trial: trials.sizes(trial, drafted=True),
        "times": trials.times,
        "train": trials.train,
        "test": lambda trial: trials.scores(trial, "test"),
    }
    try:
        trial = trials.read(Path(request["recipe"]), request["effort"], Path(request["build"]))
        return {"ok": commands[request["command"]](trial)}
    except (UsageError, ExportError) as error:
        return {"refused": str(error)}
    except EdgewrightError as error:
        return {"failed": str(error)}
    except Exception as error:  # a library that cannot take this point; its message may quote a text
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return {"refused": f"{type(error).__name__} at line {frame.lineno} of {Path(frame.filename).name}"}


def main(requests: TextIO, answers: TextIO) -> None:
    """Answer every line of `requests` until it ends."""
    for line in requests:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


def _end_with_parent() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    _end_with_parent()
    # libraries that print would spoil the answers
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    main(sys.stdin, own)
