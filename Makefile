# make demo, make test: all the set-up they need is made by them, in .venv. `make` alone prints the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Twice quiet: no notes about indexes, only errors.
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check install --constraint constraints.txt
REPORTS := .cache/reports
# Apart from .venv: onnxruntime-gpu cannot live beside onnxruntime. For CUDA 13; TENSORRT= leaves TensorRT out.
# docs/engines.md has the values for CUDA 12 and for a Jetson; after a change of them remove $(GPU_VENV).
GPU_VENV := .venv-gpu
GPU_VENV_FLAGS ?=
GPU_PACKAGES ?= '.[gpu-check]'
TENSORRT ?= 'tensorrt-cu13>=10.13,<12'
# What `make demo-bundle` makes on the way; outside build/, so that `make clean` keeps half an hour of training.
BUNDLE_RUN := runs/demo-bundle
# Chosen on the strip's val split between escapes and false rejects; docs/results.md says what they cost.
BUNDLE_LIMITS := --gate 0.5 --gate scratch=0.6 --gate patch=0.6 --threshold pits=0.8 --threshold line_crack=0.7 \
  --threshold scratch=0.8 --threshold patch=0.3 --min-area-px scratch=120 --min-area-px patch=40 --min-peak scratch=0.95

SHELL := /bin/bash
.SHELLFLAGS := -e -u -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-integration lint qualify qualify-training bench gpu-check demo-bundle settings-doc clean distclean

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- set-up ----------------------------------------------------------------------------------------------------
# One stamp for each thing installed: it is older than what it was installed from, or nothing is to be done.

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null \
	  || { echo "make: PYTHON = $(PYTHON) is not to be found; expected Python 3.10 to 3.13: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "make: PYTHON = $(PYTHON) is $$("$(PYTHON)" -V 2>&1); expected Python 3.10 to 3.13: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed-base: pyproject.toml constraints.txt | $(BIN)/python
	@$(call installed,base,--editable .)

$(VENV)/.installed-dev: $(VENV)/.installed-base
	@$(call installed,dev,--editable '.[dev]')

# The peers of the tests under tests/integration: Debian's packages, then the Python binding that is compiled with them.
$(VENV)/.installed-integration: tests/integration/packages.txt $(VENV)/.installed-dev
	@missing=$$(dpkg-query -W -f '$${db:Status-Status} $${Package}\n' $$(cat $<) 2>/dev/null | awk '$$1 == "installed" { print $$2 }' | sort | comm -13 - <(sort $<)); \
	if [ -n "$$missing" ]; then \
	  [ "$$(id -u)" = 0 ] || { echo "make: missing packages, install them as root: apt-get install --no-install-recommends $$(echo $$missing)" >&2; exit 1; }; \
	  echo "installing Debian packages: $$(echo $$missing) ..."; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get -qq update && apt-get -qq install --yes --no-install-recommends $$missing > /dev/null; \
	fi
	@$(call installed,integration,--editable '.[genicam]')

# Before gigabytes are fetched: a driver, and what pycuda is compiled with.
$(GPU_VENV)/.installed: pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import ctypes; ctypes.CDLL("libcuda.so.1")' 2>/dev/null \
	  || { echo "make: no NVIDIA driver on this machine (libcuda.so.1 is not to be found): gpu-check needs one; see docs/engines.md" >&2; exit 1; }
	@[ -n "$${CUDA_ROOT-}" ] || command -v nvcc >/dev/null \
	  || { echo "make: nvcc is not to be found, and pycuda is built from source: put it into PATH, or say CUDA_ROOT=/usr/local/cuda; see docs/engines.md" >&2; exit 1; }
	@rm -rf $(GPU_VENV) && "$(PYTHON)" -m venv $(GPU_VENV_FLAGS) $(GPU_VENV)
	@echo "installing the check for a GPU into $(GPU_VENV) ..."
	@$(subst $(BIN),$(GPU_VENV)/bin,$(PIP)) --editable $(GPU_PACKAGES) $(TENSORRT)
	@touch $@

# $(call installed,name,what): install, print the seconds it took, leave the stamp with them.
define installed
echo "installing $(1) into $(VENV) ..."; \
began=$$(date +%s); \
$(PIP) $(2); \
took=$$(( $$(date +%s) - began )); \
echo "installed $(1) in $$took s"; \
echo "$$took" > $(VENV)/.installed-$(1)
endef

# ---- what people ask for ---------------------------------------------------------------------------------------

demo: $(VENV)/.installed-base ## inspect the built-in steel strip with the bundle that ships; pictures in demo-out/
	@rm -rf demo-out
	@$(BIN)/python -m edge.demo --out demo-out

test: $(VENV)/.installed-dev ## lint, types, import rules, all tests
	@mkdir -p $(REPORTS)
	@began=$$(date +%s); \
	$(MAKE) --no-print-directory lint; \
	static_s=$$(( $$(date +%s) - began )); \
	passed=0; $(BIN)/python -m pytest -m "not slow" --ignore tests/integration --junit-xml=$(REPORTS)/tests.xml || passed=$$?; \
	$(BIN)/python -m tests.support.seconds $(REPORTS)/tests.xml \
	  install=$$(( $$(cat $(VENV)/.installed-base) + $$(cat $(VENV)/.installed-dev) )) static=$$static_s; \
	exit $$passed

test-integration: $(VENV)/.installed-integration ## tests against real peers: RTSP server, GigE Vision camera, systemd; needs Debian packages, as root
	@mkdir -p $(REPORTS)
	@INTEGRATION=1 $(BIN)/python -m pytest tests/integration --junit-xml=$(REPORTS)/integration.xml

lint: $(VENV)/.installed-dev ## the static part of make test
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

qualify: $(VENV)/.installed-integration ## the long tests, two hours, resumable; SECTIONS="witness soak" AGAIN=1
	@$(BIN)/python -m tests.qualify $(SECTIONS) $(if $(AGAIN),--again)
	@$(if $(SECTIONS),,$(BIN)/python -m pytest -m slow)

qualify-training: $(VENV)/.installed-dev ## the figures of training, some hours, resumable; needs ../shared/data; SCALE=10 AGAIN=1
	@$(BIN)/python -m tests.qualify folds transfer pitting cost --scale $(or $(SCALE),1) $(if $(AGAIN),--again)

bench: $(VENV)/.installed-base ## stage times of the demo's stream on this machine
	@$(BIN)/edge-bench

gpu-check: $(GPU_VENV)/.installed ## on a machine with an NVIDIA GPU: daemon, parity, times, roofline, as a dated table
	@$(GPU_VENV)/bin/python -m tests.gpu

demo-bundle: $(VENV)/.installed-dev ## train and export the bundle that ships, on the built-in steel strip (half an hour on 2 cores)
	@rm -rf $(BUNDLE_RUN)
	$(BIN)/python -m edge.synthetic --out $(BUNDLE_RUN)/reference --frames 70 --defect-share 0.6 --seed 90210
	@$(MAKE) --no-print-directory --jobs=2 $(BUNDLE_RUN)/classifier.safetensors $(BUNDLE_RUN)/segmenter.safetensors
	$(BIN)/edge-engine export --classifier $(BUNDLE_RUN)/classifier.safetensors \
	  --segmenter $(BUNDLE_RUN)/segmenter.safetensors --reference $(BUNDLE_RUN)/reference --name steel-strip \
	  --out $(BUNDLE_RUN)/bundle --frames 10 --max-tiles 8 $(BUNDLE_LIMITS)
	$(BIN)/edge-engine verify $(BUNDLE_RUN)/bundle
	$(BIN)/edge-engine keygen $(BUNDLE_RUN)/demo
	$(BIN)/edge-engine sign $(BUNDLE_RUN)/bundle --key $(BUNDLE_RUN)/demo.key
	@rm $(BUNDLE_RUN)/demo.key  # A pair for each bundle: nothing else can ever be signed with it.
	@rm -rf edge/demo_bundle && mv $(BUNDLE_RUN)/bundle edge/demo_bundle && mv $(BUNDLE_RUN)/demo.pub edge/demo.pub
	@du -sh edge/demo_bundle

$(BUNDLE_RUN)/strip/labels.csv:
	$(BIN)/python -m edge.synthetic --out $(@D)

# One thread each: the two are trained side by side.
$(BUNDLE_RUN)/classifier.safetensors: $(BUNDLE_RUN)/strip/labels.csv
	$(BIN)/edge-train classifier $(BUNDLE_RUN)/strip --out $(BUNDLE_RUN) --strategy scratch --backbone test_resnet --reduce 2 --epochs 20 \
	  --steps-per-epoch 225 --learning-rate 4e-3 --precision bf16-mixed --threads 1 --no-progress

$(BUNDLE_RUN)/segmenter.safetensors: $(BUNDLE_RUN)/strip/labels.csv
	$(BIN)/edge-train segmenter $(BUNDLE_RUN)/strip --out $(BUNDLE_RUN) --strategy scratch --encoder plain --width 8 --crop 160 --epochs 20 \
	  --steps-per-epoch 60 --learning-rate 5e-3 --validation-tiles 96 --precision bf16-mixed --threads 1 --no-progress

settings-doc: $(VENV)/.installed-base ## write docs/settings.md from the settings tree
	@$(BIN)/python -m edge.settings_doc > docs/settings.md.new && mv docs/settings.md.new docs/settings.md

clean: ## remove what tests and demo wrote
	@rm -rf .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis demo-out build dist
	@find edge engines training tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv and training runs too
	@rm -rf $(VENV) $(GPU_VENV) runs
