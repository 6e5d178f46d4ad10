# SPDX-License-Identifier: GPL-2.0-or-later
# Instructions for each operation, side by side with other caches, in a virtual
# machine; `bench/run --help` tells what can be chosen.

BENCH_PROGRAMS := $(B)/bench/calls $(B)/bench/plugin.so

$(B)/bench/calls: bench/calls.c | deps-build
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -static -o $@ $<

$(B)/bench/plugin.so: bench/plugin.c | deps-build
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -shared -fPIC -fvisibility=hidden -o $@ $<

# BENCH_TARGETS: folders of further targets. ARGS as for the program.
BENCH_RUN = bench/run $(BENCH_TARGETS:%=--target %)

.PHONY: bench profile
bench: module $(BENCH_PROGRAMS) | deps-vm deps-bench
	@$(BENCH_RUN) --json $(B)/bench.json --svg $(B)/bench.svg $(ARGS)

# OP: an operation's name; TARGET: whose.
OP ?= write_4k
TARGET ?= pcache
profile: module $(BENCH_PROGRAMS) | deps-vm deps-bench
	@$(BENCH_RUN) --profile --ops '$(OP)' --targets '$(TARGET)' $(ARGS)

.PHONY: test-bench
test-bench: module $(BENCH_PROGRAMS) | deps-vm deps-bench
	@bench/short-test
