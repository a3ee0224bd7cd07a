# make demo: train, export, verify and ask a classifier of real digits. make test: the tests.
# Both need Python 3.11 and make; the rest is installed into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH ?= torch==2.14.1 torchvision==0.29.1
# The parts' tests, which every backend runs; the other folders need TensorFlow's.
PYTEST = -m pytest -q -n 2 --dist loadfile

.PHONY: demo test test-all test-torch test-wheel lint docs goldens clean

demo: .venv/.recipes
	rm -rf runs/demo
	.venv/bin/python -m recipes.classify digits --name demo
	.venv/bin/kerakit predict runs/demo/savedmodel $$(ls runs/demo/samples/*.png | head -n 1)
	@echo "The model: runs/demo/savedmodel/1   The report: runs/demo/report.md   More images: runs/demo/samples"

# JAX compiles each operation of each shape: here without the passes that only make it faster.
test: .venv/.test
	.venv/bin/python $(PYTEST) -m "not slow"
	KERAS_BACKEND=jax XLA_FLAGS=--xla_backend_optimization_level=0 .venv/bin/python $(PYTEST) -m "not slow"

test-all: .venv/.test
	.venv/bin/python $(PYTEST)
	KERAS_BACKEND=jax .venv/bin/python $(PYTEST)
	$(MAKE) test-wheel

# In an environment of its own, which takes several GB.
test-torch: .venv-torch/.test
	KERAS_BACKEND=torch .venv-torch/bin/python $(PYTEST) -m "not slow"

# The built wheel alone, in a new environment without any extra.
test-wheel: .venv/.dev
	.venv/bin/python -m build -q --wheel
	rm -rf .venv-wheel && $(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/pip install -q dist/*.whl
	cd tests && ../.venv-wheel/bin/python -I clean_environment.py

lint: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright
	.venv/bin/lint-imports

# The documentation, from docs/ and the docstrings: docs/_build/html/index.html.
docs: .venv/.docs
	.venv/bin/python -m sphinx -q -W --keep-going docs docs/_build/html

# Where torch is installed: the peers' figures that the tests compare with.
goldens: .venv-torch/.test
	.venv-torch/bin/python -m tests.golden.regenerate

.venv/.%: pyproject.toml | .venv/bin/python
	.venv/bin/pip install -q -e '.[$*]'
	@touch $@

.venv-torch/.test: pyproject.toml
	test -x .venv-torch/bin/python || $(PYTHON) -m venv .venv-torch
	.venv-torch/bin/pip install -q -e '.[test]' $(TORCH)
	@touch $@

.venv/bin/python:
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv .venv-torch .venv-wheel build dist docs/_build docs/api runs
