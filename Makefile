# Two commands do everything: `make demo` and `make test`. Both make what they need, once.

PYTHON ?= python3
BIN := .venv/bin
# Without an NVIDIA GPU the CPU build is enough; a plain `torch` may bring gigabytes of CUDA along.
TORCH ?= $(if $(shell command -v nvidia-smi),torch,torch==2.13.0)
# Decoders that tests check our files with, and sound servers that live tests play through.
TEST_PACKAGES := ffmpeg sox libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils jackd2 jack-example-tools
SERVERS := $(BIN)/python -m pytest -m servers
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# an environment whose Python is gone is filled anew
$(shell test -e .venv/bin/python || rm -f .venv/demo .venv/dev)

# what stopped halfway is made again, such as a Python environment without pip
.DELETE_ON_ERROR:

.PHONY: demo test check lint screenshots clean

## make demo [SONG=path]: separate a real song with the embedded model
demo: .venv/demo
	$(BIN)/stemstream demo $(if $(SONG),"$(SONG)")

## make test: run every test, two at a time; those that play through sound servers alone, after them.
## Sound servers keep time by the clock: a test that a busy machine made fail has a second try, and both are shown.
test: .venv/dev
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not servers"
	$(SERVERS) || $(SERVERS) --last-failed --last-failed-no-failures none

## make check: everything a change must pass
check: lint test

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## make screenshots: photograph the page again, for the README
screenshots: .venv/dev
	$(BIN)/python docs/screenshots.py

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("stemstream needs Python 3.11 or later, and $(PYTHON) is older; try: make demo PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	./.ci/system-packages python3-venv
	$(PYTHON) -m venv .venv

.venv/demo: pyproject.toml | .venv/bin/python
	$(PIP) "$(TORCH)"
	$(PIP) --editable ".[demo]"
	touch $@

.venv/dev: .venv/demo
	./.ci/system-packages $(TEST_PACKAGES)
	$(PIP) --editable ".[demo,dev,openvino,page,store,train]"
	touch $@

clean:
	rm -rf .venv separated build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
