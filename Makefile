# `make demo` and `make test` are all that a newcomer needs; `make help` lists the rest.
SHELL := /bin/sh
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell \
	$(p) -c 'import sys; print("$(p)" if (3, 11) <= sys.version_info[:2] <= (3, 13) else "")' 2>/dev/null)))
PIP := .venv/bin/python -m pip --disable-pip-version-check
OPENCV := $(shell sed -n 's/^opencv-contrib-python==//p' constraints.txt)
# The reference outputs of the original TensorFlow code lie beside some checkouts.
TEST_EXTRAS := test$(if $(wildcard ../shared/data/oracle),$(shell echo ,)tensorflow)

.PHONY: help demo test lint types tests test-long soak format clean
help:
	@echo 'make demo    install into .venv and run the whole pipeline on a small photo set'
	@echo 'make test    install the test extra, then lint, types and the quick tests'
	@echo 'make lint | types | tests    one part of make test, on an installed .venv'
	@echo 'make test-long    the tests that make test leaves out; CI runs both'
	@echo 'make soak    half an hour of kills, damage and fuzzing'
	@echo 'make format  rewrite the sources in the house format'
	@echo 'make clean   remove .venv and build output; data/ stays'

demo: .venv/demo.installed
	.venv/bin/dped-build demo

test: .venv/test.installed
	@$(MAKE) --no-print-directory lint types tests

lint:
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .

types:  # mypy cannot follow the editable import hook: it reads the package through links
	@rm -rf build/types && mkdir -p build/types/dped_build
	@for part in $$(sed -n 's/^    dped_build\.\([a-z]*\)$$/\1/p' setup.cfg) cli.py; do ln -sfn ../../../$$part build/types/dped_build/; done
	.venv/bin/mypy

tests:
	.venv/bin/pytest -n auto --dist loadfile

test-long: .venv/test.installed
	.venv/bin/pytest -n auto --dist worksteal -m 'long and not soak'

soak: .venv/test.installed
	.venv/bin/pytest -n auto --dist load -m soak

format: .venv/test.installed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean:
	rm -rf .venv build dist *.egg-info

.venv/made:
	@if ! '$(PYTHON)' -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
		found=$$('$(or $(PYTHON),python3)' --version 2>/dev/null) || found='no python3'; \
		echo "dped-build needs Python 3.11, 3.12 or 3.13; found: $$found"; \
		echo 'Install one (Debian 12 and later: apt install python3 python3-venv) or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11'; \
		exit 1; fi
	@if ! '$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$(PYTHON) lacks the venv module. Debian: apt install python3-venv"; exit 1; fi
	'$(PYTHON)' -m venv --clear .venv
	@touch $@

.venv/demo.installed: EXTRAS = demo
.venv/test.installed: EXTRAS = $(TEST_EXTRAS)
.venv/%.installed: setup.cfg setup.py pyproject.toml constraints.txt $(wildcard compiled/*.[ch]) | .venv/made
	$(PIP) install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@$(MAKE) --no-print-directory opencv
	@touch $@

.PHONY: opencv
opencv:  # the desktop build of OpenCV links the system's libGL, which servers lack
	@if ! .venv/bin/python -c 'import cv2' 2>/dev/null; then \
		echo "opencv-contrib-python cannot be imported here (no libGL?): installing the headless build of $(OPENCV) in its place"; \
		$(PIP) uninstall --quiet --yes opencv-contrib-python opencv-contrib-python-headless && \
		$(PIP) install --quiet --constraint constraints.txt opencv-contrib-python-headless==$(OPENCV) && \
		.venv/bin/python -c 'import cv2'; fi
