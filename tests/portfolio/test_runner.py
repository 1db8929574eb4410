"""The runner of tasks on this machine. tests/portfolio/test_training.py runs real ones."""

import threading

from forecast.network import FitOptions
from portfolio.runner import LocalRunner, Task


class FailingPool:
    """A pool whose thread fails while its processes are ended, as loky's does at times."""

    def shutdown(self, **_):
        def fail():
            raise OSError("handle is closed")

        thread = threading.Thread(target=fail, name="ExecutorManagerThread")
        thread.start()
        thread.join()


def test_failure_of_lokys_thread_at_the_end_is_not_printed(capfd, caplog):
    caplog.set_level("DEBUG")
    runner, before = LocalRunner(2, FitOptions()), threading.excepthook
    runner._pool, runner._running = FailingPool(), {None: Task("fit", "MSFT", ())}
    runner.close()
    assert capfd.readouterr().err == ""
    assert caplog.messages == ["a thread failed while the workers were ended: OSError: handle is closed"]
    assert threading.excepthook is before
