# SPDX-License-Identifier: Apache-2.0
# One command per need. `make demo` and `make test` need nothing but git and make beforehand: they
# install what is missing (tools/setup.sh), build and run.
#
#   make demo          optimize two real models and show that they still compute the same
#   make test          all tests                        (LABEL=null|cpu|slow: only those)
#   make build         build only                       (PRESET=release|dev|asan|tsan|fuzz)
#   make bench         compare with ONNX Runtime and OpenVINO (MODELS=, THREADS=1,2 BATCH=1), microbenchmarks
#   make format lint   clang-format in place; clang-tidy on changed files, codespell
#   make check         format, layers and sizes, without changing anything
#   make ci            what CI runs
#   make clean         remove build/

PRESET ?= release
JOBS ?= $(shell nproc)
LABEL ?=
MODELS ?=
THREADS ?= 1,2
BATCH ?= 1
BUILD := build/$(PRESET)
# In CI warnings are errors.
CONFIGURE := $(if $(filter true,$(CI)),-DTESSERA_WERROR=ON)
SETUP := build $(if $(filter fuzz,$(PRESET)),fuzz)

.PHONY: demo test build bench format lint check check-format check-layers check-sizes ci clean help
.DEFAULT_GOAL := build

build:
	@tools/setup.sh $(SETUP)
	@test -f $(BUILD)/build.ninja -a -z "$(CONFIGURE)" || cmake --preset $(PRESET) $(CONFIGURE)
	@cmake --build $(BUILD) -j $(JOBS)

demo: build
	@tools/demo.sh $(BUILD)/tessera

test:
	@tools/setup.sh $(SETUP) test
	@$(MAKE) --no-print-directory build
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -j $(JOBS) \
	  $(if $(LABEL),-L '^$(LABEL)$$')

bench: peers build
	@build/venv/bin/python3 bench/compare/compare.py $(MODELS) --build $(BUILD) \
	  --threads $(THREADS) --batch $(BATCH) --json build/bench.json
	@test ! -x $(BUILD)/tessera_bench || $(BUILD)/tessera_bench

.PHONY: peers
peers:
	@tools/setup.sh build bench

format:
	@tools/setup.sh lint
	@tools/format.sh

lint:
	@tools/setup.sh build lint
	@tools/lint.sh $(BUILD)

check: check-format check-layers check-sizes

check-format:
	@tools/setup.sh lint
	@tools/format.sh --check

check-layers:
	@python3 tools/check_layers.py

check-sizes:
	@python3 tools/check_sizes.py

ci:
	@CI=true .ci/run

clean:
	rm -rf build

help:
	@sed -n '5,15s/^# \{0,1\}//p' Makefile
