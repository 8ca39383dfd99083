# SPDX-License-Identifier: MIT
# A thin front over meson and ninja. Sources are listed in src/*/meson.build.
.DEFAULT_GOAL := build
.PHONY: build demo train check long bench bench-peer asan arm fuzz fmt install clean help

PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
LONG_MINUTES ?= 10
LONG_SEED ?=
DEMO ?= Tell me a story about a miller named Flora.
TRAIN_MINUTES ?= 60
BENCH_PEER ?=

# The tests take longer to build than the program: `make check` switches them on.
build/build.ninja:
	@sh tools/setup.sh build
	@meson setup build -Dtests=disabled --prefix $(PREFIX)

build: build/build.ninja ## build the program: build/weir
	@ninja -C build

demo: build ## ask the model that ships with weir for a story, with drafts and without
	@sh tools/demo.sh build/weir "$(DEMO)"

train: build/build.ninja ## make the model that ships with the project, anew: build/train
	@sh tools/setup.sh build train
	@ninja -C build
	@sh tools/train/all.sh build/weir build/train $(TRAIN_MINUTES)

check: ## everything that CI does; ends with the number of failures
	@sh tools/setup.sh build check
	@sh tools/check.sh

long: ## random tests, again and again with other seeds (LONG_MINUTES=10 LONG_SEED=...)
	@sh tools/setup.sh build check
	@LONG_MINUTES=$(LONG_MINUTES) LONG_SEED=$(LONG_SEED) sh tools/check.sh long

bench: build/build.ninja ## measure this machine and the parts: see BENCHMARKS.md
	@ninja -C build reconfigure >/dev/null
	@ninja -C build --quiet bench/weir-micro
	@build/bench/weir-micro

bench-peer: build ## weir and llama.cpp in turn on the same model (BENCH_PEER=--force, ...)
	@sh tools/peer/bench.sh $(BENCH_PEER)

asan: ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@sh tools/setup.sh build check
	@sh tools/check.sh asan

arm: ## kernels and models on 64-bit Arm, by a cross compiler and an emulator
	@sh tools/setup.sh build check
	@sh tools/check.sh arm

fuzz: ## each fuzz target for a minute (FUZZ_SECONDS=60)
	@sh tools/setup.sh build check
	@FUZZ_SECONDS=$(FUZZ_SECONDS) sh tools/check.sh fuzz

fmt: ## lay out the source with clang-format
	@sh tools/setup.sh clang-format
	@find include src tests bench -name '*.[ch]' -exec clang-format -i {} +

install: build ## install program, library, header and manual pages (PREFIX, DESTDIR)
	@meson configure build -Dprefix=$(PREFIX)
	@ninja -C build
	@meson install -C build --no-rebuild $(if $(DESTDIR),--destdir "$(abspath $(DESTDIR))")

clean: ## remove everything that was built
	rm -rf build build-clang build-asan build-tsan build-fuzz build-arm

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
