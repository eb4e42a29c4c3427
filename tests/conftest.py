"""What holds for every test: few threads, one Qt binding for qtpy and pytest-qt, and no window test left out."""

import os
from importlib.util import find_spec

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before torch and numpy are imported
if not os.environ.get("QT_API"):
    os.environ["QT_API"] = "pyqt6" if find_spec("PyQt6") else "pyqt5"
os.environ["PYTEST_QT_API"] = os.environ["QT_API"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A skipped window test is a failed one: what was not run on a binding was not shown to work on it."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and "gui" in item.path.parent.parts:
        report.outcome, report.longrepr = "failed", f"skipped, but every window test must run: {call.excinfo.value}"
    return report
