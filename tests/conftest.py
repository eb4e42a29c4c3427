"""What holds for every test: few threads, one Qt binding for qtpy and pytest-qt, and no window test left out."""

import os
from importlib.util import find_spec

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before torch and numpy are imported
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # a GPU gives other last digits each time: much is tested to the bit
if not os.environ.get("QT_API"):
    os.environ["QT_API"] = "pyqt6" if find_spec("PyQt6") else "pyqt5"
os.environ["PYTEST_QT_API"] = os.environ["QT_API"]


@pytest.fixture(scope="module")
def briefly():
    """Training of a few steps is not followed by many: single pixels and class frequencies are learnt from little."""
    from napari_sslseg import columns, outlook, pixel_classifier, trees

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixel_classifier, "STEPS", 20)
        patch.setattr(trees, "STEPS", 20)
        patch.setattr(trees, "TREES", 5)
        patch.setattr(columns, "SQUARES", 4)
        patch.setattr(outlook, "CROPS", 3)
        yield


@pytest.fixture
def always_told(monkeypatch):
    """Progress is told after each tile, however fast they follow each other."""
    from napari_sslseg.job import Rhythm

    monkeypatch.setattr(Rhythm, "due", lambda self: True)


def must_run(report):
    """A skipped window test is a failed one: what was not run on a binding was not shown to work on it."""
    if report.skipped and not hasattr(report, "wasxfail") and "tests/gui/" in report.nodeid:
        report.outcome = "failed"
        report.longrepr = f"skipped, but every window test must run: {report.longrepr[-1]}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return must_run((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return must_run((yield))
