"""The process that a Dask worker starts for one task.

    python -m portfolio.child < request > outcome

The request is its length in 8 bytes and a pickle of (step, options, inputs). stdin stays open while the worker lives: at its end this
process ends too, so nothing is left behind by a worker that is killed.
"""

import os
import pickle
import sys
import threading


def end_with_stdin() -> None:
    """End this process as soon as the other end of stdin is closed."""

    def watch() -> None:
        os.read(0, 1)  # sys.stdin's own lock would abort this process where it ends with an error
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Do one step."""
    length = int.from_bytes(sys.stdin.buffer.read(8), "big")
    step, options, inputs = pickle.loads(sys.stdin.buffer.read(length))  # noqa: S301 - of the Dask worker that started this
    end_with_stdin()
    outcome = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries that print do not print into the outcome
    from portfolio.task import work

    outcome.write(work(step, pickle.loads(options), inputs))  # noqa: S301
    outcome.flush()
    outcome.close()
    os._exit(0)  # TensorFlow takes seconds to end


if __name__ == "__main__":
    main()
