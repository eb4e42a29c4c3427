# Everything runs in .venv, which is made here. Paths are relative and no installed script is called by its name,
# so that a folder with a space in its path works too.

PYTHON ?= python3
PY := .venv/bin/python
PIP := $(PY) -m pip install -qq --disable-pip-version-check --no-compile
GUI_PACKAGES := xvfb xauth libgl1 libegl1 libxcb-icccm4 libxcb-keysyms1 libxcb-xinerama0 libxcb-image0 \
	libxcb-render-util0 libxcb-shape0 libxcb-cursor0 libxkbcommon-x11-0 libdbus-1-3 xdotool
UNIT := -p no:pytest-qt -p no:napari -p no:npe2

# Many tests start Python anew: what it compiles is kept, in .venv, also where the environment says that it should not be.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/bytecode

.PHONY: help setup system demo test test-core test-gui lint lint-style lint-types lint-contracts lint-docstrings format clean
.NOTPARALLEL:

help:
	@echo "make demo    pretrain, apply strokes, train, predict and score on a real image; results in demo-output"
	@echo "make test    all tests, the window's on PyQt5 and on PyQt6"
	@echo "make test-gui QT=pyside6    the window's on one binding: pyqt5, pyqt6 or pyside6, which is installed then"
	@echo "make lint    style, types, import contracts, docstrings"
	@echo "make format  put the style right"
	@echo "make clean   remove .venv and everything made here"

setup: .venv/ready

demo: setup
	@$(PY) -m napari_sslseg demo --out demo-output

test: test-core test-gui

test-core: setup
	@echo "== tests of the library and the command line"
	@OMP_NUM_THREADS=1 $(PY) -m pytest $(UNIT) -n auto --maxprocesses 4 --dist loadfile --ignore=tests/gui

# One process for each Qt binding, or for the one named in QT. Without a display the windows are drawn in a virtual one,
# both bindings side by side.
test-gui: setup
	@if [ "$$(uname)" = Linux ] && [ -z "$$DISPLAY" ] && ! command -v xvfb-run >/dev/null; then \
		echo "The window's tests need a display: set DISPLAY, or install xvfb (apt-get install xvfb xauth)." >&2; exit 1; \
	fi; \
	if [ -n "$(QT)" ]; then \
		if [ "$(QT)" = pyside6 ]; then $(PIP) -e ".[pyside6]" || exit 1; fi; \
		if [ "$$(uname)" = Linux ] && [ -z "$$DISPLAY" ]; then set -- xvfb-run -a -s "-screen 0 1600x1000x24"; fi; \
		echo "== tests of the window on $(QT)"; \
		QT_API=$(QT) PYTEST_QT_API=$(QT) "$$@" $(PY) -m pytest tests/gui; exit; \
	fi; \
	if [ "$$(uname)" = Linux ] && [ -z "$$DISPLAY" ]; then \
		logs=$$(mktemp -d); failed=0; \
		export OMP_NUM_THREADS=1; \
		QT_API=pyqt6 xvfb-run -a -n 150 -s "-screen 0 1600x1000x24" $(PY) -m pytest tests/gui >"$$logs/pyqt6" 2>&1 & \
		other=$$!; trap 'kill $$other 2>/dev/null; exit 1' INT TERM; \
		echo "== tests of the window on pyqt5; those on pyqt6 run beside them"; \
		QT_API=pyqt5 xvfb-run -a -s "-screen 0 1600x1000x24" $(PY) -m pytest tests/gui || failed=1; \
		wait $$other || failed=1; \
		echo "== tests of the window on pyqt6"; cat "$$logs/pyqt6"; rm -r "$$logs"; exit $$failed; \
	fi; \
	for api in pyqt5 pyqt6; do \
		echo "== tests of the window on $$api"; \
		QT_API=$$api $(PY) -m pytest tests/gui || exit 1; \
	done

# `make -k lint` goes on after a failure.
lint: lint-style lint-types lint-contracts lint-docstrings

lint-style: setup
	@echo "== ruff"
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

lint-types: setup
	@echo "== mypy"
	@$(PY) -m mypy

lint-contracts: setup
	@echo "== import-linter"
	@$(PY) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

lint-docstrings: setup
	@echo "== numpydoc"
	@$(PY) -m pytest $(UNIT) -q tests/test_package.py -k docstring

format: setup
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

clean:
	rm -rf .venv build dist demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A venv is made with the first Python that is new enough; without the venv module's own pip (Debian), with another's.
.venv/bin/python:
	@for python in "$(PYTHON)" python3 python3.13 python3.12 python3.11 python3.14 python; do \
		"$$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || continue; \
		echo "== making .venv with $$("$$python" --version)"; \
		rm -rf .venv; \
		"$$python" -m venv .venv >/dev/null 2>&1 && exit 0; \
		rm -rf .venv; \
		"$$python" -m venv --without-pip .venv && \
			"$$python" -m pip --python .venv/bin/python install -qq --disable-pip-version-check pip && exit 0; \
		rm -rf .venv; \
		echo "$$python could make no virtual environment: install its venv module (apt-get install python3-venv)." >&2; exit 1; \
	done; \
	echo "Python 3.11 or newer is needed; none was found. Install one, or name it: make PYTHON=/path/to/python" >&2; exit 1

# -qq: errors only. pip learnt to read dependency groups in 25.1.
.venv/ready: pyproject.toml napari_sslseg/__init__.py | system .venv/bin/python
	@echo "== installing (the first time this downloads PyTorch: some minutes and 6 GB of disk)"
	@$(PIP) --upgrade "pip>=25.1"
	@$(PIP) -e ".[pyqt5,pyqt6]" --group dev
	@touch $@

# System libraries that Qt needs, and a virtual display.
system:
	@command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || exit 0; \
	missing=; \
	for package in $(GUI_PACKAGES); do \
		dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q "ok installed" || missing="$$missing $$package"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ]; then \
		echo "== installing$$missing"; \
		{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing; } \
			>/dev/null || echo "These could not be installed, and the window may need them:$$missing" >&2; \
	else \
		echo "The window needs packages that only root can install: apt-get install$$missing" >&2; \
	fi
