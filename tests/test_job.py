"""Jobs, their events and their end."""

import pytest

from napari_sslseg.errors import StoppedError
from napari_sslseg.job import Metric, Progress, Rhythm, Stop, every, run, share, until


def counting(stop, closed):
    try:
        for step in range(100):
            if stop.requested:
                break
            yield Progress(step / 100)
        return step
    finally:
        closed.append(True)


def test_run_returns_what_the_job_returns():
    heard = []
    assert run(counting(Stop(), []), heard.append) == 99
    assert len(heard) == 100


def test_a_stopped_job_returns_normally():
    stop, closed = Stop(), []

    def listen(event):
        if event.fraction >= 0.1:
            stop.request()

    assert run(counting(stop, closed), listen) == 11
    assert closed == [True]


def test_a_failing_listener_closes_the_job():
    closed = []

    def fail(event):
        raise ValueError

    try:
        run(counting(Stop(), closed), fail)
    except ValueError:
        assert closed == [True]
    else:
        raise AssertionError("the error was swallowed")


def test_a_part_reports_its_share_of_the_whole():
    def part():
        yield Progress(0.5, "half")
        yield Metric("loss", 1.0, 1)
        return "made"

    heard = []
    assert run(share(part(), 0.2, 0.6), heard.append) == "made"
    assert heard == [Progress(0.4, "half"), Metric("loss", 1.0, 1)]


def test_a_part_reports_the_time_left_of_the_whole():
    def part():
        yield Progress(0.5, "half", 10.0)

    heard = []
    run(share(part(), 0.0, 0.5), heard.append)
    assert heard == [Progress(0.25, "half", 30.0)]


def test_a_rhythm_is_due_once_an_interval():
    rhythm = Rhythm(1000)
    assert [rhythm.due(), rhythm.due()] == [True, False]


def stopping(stop, made):
    for k in range(5):
        made.append(k)
        yield k
        if k == 2:
            stop.request()


def test_items_are_gone_through_until_somebody_asks_to_stop():
    stop, made = Stop(), []
    assert list(until(stop, stopping(stop, made))) == [0, 1, 2]
    assert made == [0, 1, 2, 3]
    assert list(until(Stop(), range(3))) == [0, 1, 2]


def test_what_needs_all_items_breaks_off_even_after_the_last():
    stop, made = Stop(), []
    with pytest.raises(StoppedError, match="before its first step"):
        list(every(stop, stopping(stop, made)))
    assert made == [0, 1, 2, 3]
    with pytest.raises(StoppedError):
        list(every(stop, ()))
    assert list(every(Stop(), range(3))) == list(every(None, range(3))) == [0, 1, 2]
