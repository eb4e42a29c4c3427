"""Jobs, their events and their end."""

from napari_sslseg.job import Metric, Progress, Rhythm, Stop, run, share


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
