# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything is reached from here. `make demo` and `make test` do all of their set-up themselves, on a bare Debian that
# has Swift and make; they need root, for apt and for network namespaces.

# The toolchain of .swift-version: the one on PATH, else where the toolchain archive is usually unpacked.
SWIFT ?= $(shell command -v swift 2>/dev/null || echo /opt/swift/usr/bin/swift)
# Tests build plugins in C by the clang that belongs to it: another compiler's would not pass the version gate.
export PATH := $(dir $(SWIFT)):$(PATH)
# Debian's Python, which python3-pytest and python3-scapy belong to, and not another one that comes first on PATH.
PYTHON ?= /usr/bin/python3
# debug or release; measurements and the emulated Debian always take release.
CONFIGURATION ?= debug
# How many labs run side by side.
LABS ?= 2
# What has not ended after this long hangs.
SUITE_LIMIT ?= 30m
# Anything but empty: `make test` boots the emulated Debian too.
GUEST ?=

# swiftbuild, the other build system, gives shared objects a wrong name (docs/adr/0001).
SWIFT_FLAGS := --build-system native
BUILD := $(CURDIR)/.build/$(CONFIGURATION)
EXAMPLE := $(CURDIR)/build/example-plugin

# One Swift build at a time: neither parallel targets of this make nor a second make in the same tree.
.NOTPARALLEL:
LOCKED = mkdir -p build && flock build/.lock
LIMITED = timeout --foreground --kill-after=30s $(SUITE_LIMIT)

# The package manifests make warnings errors if this is set.
ifeq ($(CI),true)
export ROUTERD_CI := 1
endif

# The programs that the lab runs.
export ROUTERD ?= $(BUILD)/routerd
export LABBR ?= $(CURDIR)/build/lab/labbr
export PYTHONDONTWRITEBYTECODE := 1

# $(call step,TITLE,COMMAND): the command under a heading, and by name if it fails.
define step
@printf '\n==> %s\n' '$(1)'; { $(2); } || { status=$$?; printf '\n*** failed: %s (exit %s)\n' '$(1)' $$status >&2; exit $$status; }
endef

.PHONY: help
help:
	@echo 'make demo           IPv4 over MAP-E on a simulated line, told step by step (root)'
	@echo 'make test           all tests and checks (root)'
	@echo 'make test-guest     of these what depends on the kernel, on those of Debian 12 and 13 in an emulator (root)'
	@echo 'make test-guest-all every suite of the simulated line in the emulator; takes half an hour (root)'
	@echo 'make bench          throughput, memory and start time on the simulated line (root)'
	@echo 'make bench-guest    what the tunnel and the NAT cost on the kernel of Debian 12, in the emulator (root)'
	@echo 'make build          the daemon and its plugins; CONFIGURATION=release for an optimized build'
	@echo 'make lint           style, and the licence line of every source file'
	@echo 'make format         puts Swift sources into style'
	@echo 'make install-deps   the Debian packages of packaging/build-deps, if any is missing'
	@echo 'make clean          removes everything that was built'

# Entry points

.PHONY: demo
demo: need-root build lab
	$(call step,demo,$(PYTHON) Tests/Lab/demo.py)

.PHONY: test
test: need-root install-deps build-tests lab example test-swift test-judge test-lab $(if $(GUEST),test-guest) check-needed lint
	@printf '\n==> everything passed\n'

.PHONY: bench
bench: need-root build-release lab
	$(call step,bench,ROUTERD=$(CURDIR)/.build/release/routerd $(PYTHON) Tests/Lab/bench.py)

# Ratios only: an emulator's rates are those of nothing else. Its clock counts instructions, so that a busy host does
# not tell.
.PHONY: bench-guest
bench-guest: need-root build-release lab
	$(call step,bench on the kernel of Debian 12,$(GUEST_RUN) bench --counted -- --throughput-only --seconds 1 --rounds 5 --least 0.95 \
	  --tests "TCP 1 up" "TCP 8 up" "TCP 1 down" "TCP 8 down")

# Set-up

.PHONY: install-deps
install-deps:
	$(call step,Debian packages,packaging/install-deps)

.PHONY: need-root
need-root:
	@[ "$$(id -u)" -eq 0 ] || { echo 'The simulated line is made of network namespaces: run this as root.' >&2; exit 1; }

.PHONY: need-swift
need-swift:
	@$(SWIFT) --version >/dev/null 2>&1 || { \
	  echo 'There is no Swift at $(SWIFT). Install Swift $(shell cat .swift-version) from swift.org, or run: make SWIFT=/path/to/swift' >&2; \
	  exit 1; }

# Builds

.PHONY: build
build: install-deps need-swift
	$(call step,swift build ($(CONFIGURATION)),$(LOCKED) $(SWIFT) build $(SWIFT_FLAGS) -c $(CONFIGURATION))

.PHONY: build-release
build-release: install-deps need-swift
	$(call step,swift build (release),$(LOCKED) $(SWIFT) build $(SWIFT_FLAGS) -c release)

.PHONY: build-tests
build-tests: install-deps need-swift
	$(call step,swift build --build-tests,$(LOCKED) $(SWIFT) build $(SWIFT_FLAGS) -c $(CONFIGURATION) --build-tests)

# The border relay that judges every packet.
.PHONY: lab
lab: install-deps
	$(call step,the judge of the simulated line,$(MAKE) --no-print-directory -C Tests/Lab/br)

# The plugin from outside the tree: built as its author would, then put with its rules into a folder of its own, as an
# administrator would.
.PHONY: example
example: install-deps need-swift
	$(call step,the example plugin,\
	  $(LOCKED) $(SWIFT) build $(SWIFT_FLAGS) -c $(CONFIGURATION) --package-path Plugins/Example --scratch-path .build/example \
	  && mkdir -p $(EXAMPLE) \
	  && cp .build/example/$(CONFIGURATION)/libExample.so Plugins/Example/Example.rules $(EXAMPLE)/)

# Tests and checks

.PHONY: test-swift
test-swift: need-root build-tests example
	$(call step,swift test,$(LOCKED) $(LIMITED) $(SWIFT) test $(SWIFT_FLAGS) -c $(CONFIGURATION) --skip-build --disable-xctest)

.PHONY: test-judge
test-judge: need-root lab
	$(call step,tests of the judge,cd Tests/Lab/br && $(LIMITED) $(PYTHON) -m pytest -q -p no:cacheprovider -n $(LABS))

.PHONY: test-lab
test-lab: need-root build-tests lab example
	$(call step,the daemon on simulated lines,cd Tests/Lab && $(LIMITED) $(PYTHON) -m pytest -p no:cacheprovider -n $(LABS))

# The same lines on Debian's own kernels, in an emulator, with what users run: that is a release.
GUEST_RUN = env ROUTERD=$(CURDIR)/.build/release/routerd $(PYTHON) Tests/Guest/run.py
GUEST_TEST = $(GUEST_RUN) test --bundle $(BUILD)/routerdPackageTests.xctest

.PHONY: test-guest
test-guest: need-root build-tests build-release lab
	$(call step,the daemon on the kernels of Debian 12 and 13,$(LIMITED) $(GUEST_TEST))

.PHONY: test-guest-all
test-guest-all: need-root build-tests build-release lab
	$(call step,every suite on the kernels of Debian 12 and 13,$(GUEST_TEST) --all)

.PHONY: check-needed
check-needed: build-tests
	$(call step,what executables and plugins need,packaging/check-needed $(BUILD)/routerd $(BUILD)/lib*.so)

SOURCES = find Package.swift Sources Plugins Tests -name .build -prune -o -type f

.PHONY: lint
lint: need-swift
	$(call step,swift format lint,$(SOURCES) -name "*.swift" -print0 | xargs -0 $(SWIFT) format lint --strict --parallel)
	$(call step,licence lines,! $(SOURCES) \( -name "*.swift" -o -name "*.[ch]" -o -name "*.py" -o -name "*.rules" \) -print0 \
	  | xargs -0 grep -L "SPDX-License-Identifier: GPL-3.0-or-later" | sed "s/$$/: no SPDX licence line/" | grep .)

.PHONY: format
format: need-swift
	$(SOURCES) -name '*.swift' -print0 | xargs -0 $(SWIFT) format --in-place --parallel

.PHONY: clean
clean:
	rm -rf .build build Plugins/Example/.build Sources/RouterKit/.build
