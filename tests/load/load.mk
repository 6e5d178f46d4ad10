# SPDX-License-Identifier: GPL-2.0-or-later
# Measured loads of the engine with threads, without sanitizers.

LOAD_SRCS := tests/unit/host.c $(UNIT_ENGINE) $(SHIM_SRCS) $(SHIM_THREADS_SRCS)
LOAD_CFLAGS := $(SHIM_CFLAGS) -g -O2 -Ikernel -Itests/unit

$(B)/load/%: tests/load/%.c $(LOAD_SRCS) $(wildcard kernel/*.h) | deps-build
	@mkdir -p $(@D)
	@$(CC) $(LOAD_CFLAGS) -o $@ $< $(LOAD_SRCS) $(UNIT_LDLIBS)

# Takes a minute or two; ARGS as for the program.
.PHONY: latency
latency: $(B)/load/latency
	@$< $(ARGS)
