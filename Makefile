# make chat      set up what the app needs and open it        MODEL=path  ARGS="--devices cpu:0,cpu:1 ..."
# make test      build with the native tests, run everything  ARGS="-k sharding ..."
# make test-full the same with all that takes long
# make sanitize  run the native tests under ASan, UBSan, TSan  ARGS="-R golden ..."
# make lint      ruff, mypy, clang-format, import-linter       make format rewrites what can be rewritten
# make bench     measure the engine on MODEL, and put the figures into README.md; then what the full screen costs
# make gpu-check build for this machine's GPUs and run, check and time everything on them; needs no network
#
# Everything lives in $(VENV) and $(BUILD); stamp files there make a second call quick.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BUILD ?= build
MODEL ?=
ARGS ?=

BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
CONSTRAINTS := .ci/constraints.txt
WHEEL_BUILD := $(BUILD)/wheel
CUDA_HEADERS := $(BUILD)/cuda-headers
CUDA_HOME ?= /usr/local/cuda
TYPING := $(BUILD)/typing/qwen3_chat
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
# Compiled in place and kept, so that a rebuild compiles only what changed.
INSTALL := $(PIP) install --no-build-isolation --no-deps --force-reinstall --config-settings=build-dir=$(WHEEL_BUILD)

find = $(shell find $(1) -type f -not -path '*/__pycache__/*' 2>/dev/null)
PACKAGE := pyproject.toml README.md LICENSE $(wildcard CMakeLists.txt) $(call find,app models bindings engine_cpp)
NATIVE_TESTS := $(call find,tests/native tests/cuda)
CPP := $(filter %.c %.cc %.cpp %.h %.hpp %.cu %.cuh,$(call find,bindings engine_cpp tests))

.PHONY: help chat test test-full cuda-abi gpu-check sanitize bench lint lint-python lint-types lint-imports lint-cpp format demo-model demo-score clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -7

# ---- running --------------------------------------------------------------------------------------------------------

chat: $(STAMPS)/chat
	@$(BIN)/qwen3-chat $(if $(MODEL),--model "$(MODEL)") $(ARGS)

bench: $(STAMPS)/chat
	@$(BIN)/qwen3-chat bench $(if $(MODEL),--model "$(MODEL)") $(ARGS) --markdown | tee /dev/stderr \
	  | $(BIN)/python .ci/splice.py README.md measured
	$(BIN)/python tests/benchmarks/tui.py load
	$(if $(MODEL),$(BIN)/python tests/benchmarks/tui.py decode --model "$(MODEL)")

# The models of the tests are so small that torch is much quicker on one thread. ARGS="-n 0" runs them in one process.
PYTEST = OMP_NUM_THREADS=1 QWEN3_NATIVE_TESTS=$(abspath $(WHEEL_BUILD))/tests/native \
  $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal
test: $(STAMPS)/test
	$(PYTEST) $(ARGS)

test-full: $(STAMPS)/test $(if $(wildcard $(CUDA_HOME)/include/cuda_runtime_api.h),cuda-abi)
	QWEN3_TEST_FULL=1 $(PYTEST) $(ARGS)

# Compares what the CUDA backend declares of cuBLASLt and NCCL with their headers.
cuda-abi: $(STAMPS)/dependencies
	@test -d $(CUDA_HEADERS) || $(PIP) install --no-deps --target $(CUDA_HEADERS) \
	  nvidia-cublas==13.1.1.3 nvidia-nccl-cu13==2.30.7
	$${CXX:-c++} -std=c++20 -fsyntax-only -Iengine_cpp -I$(CUDA_HOME)/include -I$(CUDA_HEADERS)/nvidia/cu13/include \
	  -I$(CUDA_HEADERS)/nvidia/nccl/include engine_cpp/ops/cuda/abi_check.cpp

# With the machine's own Python, torch, pytest and build tools, into a folder of its own.
GPU := $(BUILD)/gpu
GPU_ENV = PYTHONPATH=$(abspath $(GPU))/site LD_LIBRARY_PATH=$$($(PYTHON) -c 'import pathlib, torch; \
  wheels = pathlib.Path(torch.__file__).parents[1] / "nvidia"; \
  print(wheels / "cu13/lib", wheels / "nccl/lib", sep=":")'):$$LD_LIBRARY_PATH
gpu-check:
	@nvidia-smi -L || { echo "make: no GPU: nvidia-smi -L finds none" >&2; exit 1; }
	@rm -rf $(GPU)/site
	$(PYTHON) -m pip install -qq --no-build-isolation --no-deps --no-index --target $(GPU)/site \
	  --config-settings=build-dir=$(GPU)/build --config-settings=cmake.define.ENGINE_CUDA=ON \
	  --config-settings=cmake.define.QWEN3_BUILD_TESTS=ON --config-settings=cmake.define.QWEN3_CUDA_EMU=OFF .
	cmake --build $(GPU)/build --target cuda_kernels_test_gpu
	$(GPU)/build/tests/cuda/cuda_kernels_test_gpu
	@all=$$($(PYTHON) -c 'import torch; print(",".join(f"cuda:{i}" for i in range(torch.cuda.device_count())))'); \
	for devices in $$(printf '%s\n' cuda:0 $$all | sort -u); do echo "engine tests on $$devices"; \
	  $(GPU_ENV) QWEN3_TEST_DEVICES=$$devices QWEN3_TEST_FULL=1 $(PYTHON) -m pytest -q -c tests/gpu/pytest.ini \
	    --rootdir=. tests/engine/test_cuda.py; done
	$(GPU_ENV) compute-sanitizer --error-exitcode 1 $(PYTHON) tests/gpu/small.py cuda:0
	$(GPU_ENV) $(PYTHON) tests/gpu/speed.py cuda:0

# Needs no torch: tests/native/golden holds what the reference computes. The CUDA kernels' own tests are built with
# sanitizers by tests/cuda.
SANITIZERS := $(addprefix sanitize-,address thread)
.PHONY: $(SANITIZERS)
sanitize: $(SANITIZERS)
$(SANITIZERS): sanitize-%: $(STAMPS)/dependencies
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake -S . -B $(BUILD)/sanitize/$* -G Ninja -DQWEN3_BUILD_BINDINGS=OFF \
	  -DQWEN3_BUILD_TESTS=ON -DQWEN3_CUDA_EMU=OFF -DQWEN3_SANITIZE=$* >/dev/null
	@echo "building the native tests with -fsanitize=$*"
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build $(BUILD)/sanitize/$* -- --quiet
	$(BIN)/ctest --test-dir $(BUILD)/sanitize/$* --output-on-failure --timeout 300 $(ARGS)

# `make -k lint` goes on after a failure.
lint: lint-python lint-types lint-imports lint-cpp

lint-python: $(STAMPS)/lint-tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-types: $(STAMPS)/lint-tools $(TYPING)
	$(BIN)/mypy $(TYPING)

lint-imports: $(STAMPS)/lint-tools $(TYPING)
	PYTHONPATH=$(BUILD)/typing $(BIN)/lint-imports --no-cache

lint-cpp: $(STAMPS)/lint-tools
	$(if $(CPP),$(BIN)/clang-format --dry-run -Werror $(CPP))

# The import names over the sources, for tools that do not see what the wheel maps.
$(TYPING):
	@mkdir -p $@
	@ln -s $(CURDIR)/app $(CURDIR)/models $@/
	@ln -s $(CURDIR)/bindings/engine $@/engine

format: $(STAMPS)/lint-tools
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(if $(CPP),$(BIN)/clang-format -i $(CPP))

# Replaces the bundled checkpoint, trained on the actions and flags that the app has now; less than an hour on two cores.
demo-model: $(STAMPS)/test-tools $(TYPING)
	PYTHONPATH=$(BUILD)/typing $(BIN)/python -m qwen3_chat.app.manual > $(BUILD)/manual.json
	@mv $(BUILD)/manual.json models/demo/manual.json
	PYTHONPATH=$(BUILD)/typing OMP_NUM_THREADS=1 nice $(BIN)/python -m qwen3_chat.models.demo.train \
	  --out models/demo/checkpoint --without tests/models/demo/paraphrased.toml $(ARGS)

# How well it answers; fails where it misses what it must reach.
demo-score: $(STAMPS)/test
	@$(BIN)/python tests/models/demo/score.py $(ARGS)

clean:
	rm -rf $(BUILD) $(VENV)

# ---- setting up -----------------------------------------------------------------------------------------------------

# Tells what is missing before anything is downloaded.
define CHECK
need() { echo "make: $$1" >&2; echo "      On Debian or Ubuntu: sudo apt-get install $$2" >&2; exit 1; }; \
$(PYTHON) -c '' 2>/dev/null || need "there is no working $(PYTHON)" "python3 python3-venv python3-dev"; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || need "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version); try make PYTHON=python3.12" "python3"; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || need "$(PYTHON) cannot make a virtual environment" "python3-venv"; \
test -f "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" \
  || need "the headers of $(PYTHON) (Python.h) are missing" "python3-dev"; \
echo '#include <span>' | $${CXX:-c++} -std=c++20 -x c++ -fsyntax-only - 2>/dev/null \
  || need "a C++20 compiler is needed: GCC 11 or Clang 14, or newer (CXX=$${CXX:-c++} is none)" "g++"
endef

$(STAMPS)/venv:
	@$(CHECK)
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install 'pip>=25.1'  # older ones cannot read dependency groups
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dependencies: pyproject.toml $(CONSTRAINTS) | $(STAMPS)/venv
	@echo "installing what the app needs"
	@$(BIN)/python -c 'import pathlib, tomllib; \
	  print(*tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]["dependencies"], sep="\n")' > $@
	@$(PIP) install --constraint $(CONSTRAINTS) --requirement $@ --group build

$(STAMPS)/test-tools: $(STAMPS)/dependencies
	@echo "installing what the tests need"
	@$(PIP) install --constraint $(CONSTRAINTS) --group test
	@touch $@

# mypy reads the types of torch, so the tests' packages are part of the lint's.
$(STAMPS)/lint-tools: $(STAMPS)/test-tools
	@echo "installing what the lint needs"
	@$(PIP) install --constraint $(CONSTRAINTS) --group lint
	@touch $@

$(STAMPS)/chat: $(PACKAGE) $(STAMPS)/dependencies
	@echo "building the engine (the first time takes a few minutes)"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(INSTALL) --config-settings=cmake.define.QWEN3_BUILD_TESTS=OFF .
	@touch $@

$(STAMPS)/test: $(PACKAGE) $(NATIVE_TESTS) $(STAMPS)/test-tools
	@echo "building the engine and the native tests"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(INSTALL) --config-settings=cmake.define.QWEN3_BUILD_TESTS=ON .
	@touch $@ $(STAMPS)/chat
