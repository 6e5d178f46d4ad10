# SPDX-License-Identifier: GPL-2.0-or-later
# The engine measured natively, with threads, without Device-Mapper.

NATIVE_DIR := bench/native
NATIVE_SRCS := $(wildcard $(NATIVE_DIR)/*.c) $(UNIT_ENGINE) $(SHIM_SRCS) $(SHIM_THREADS_SRCS)
NATIVE_OBJS := $(patsubst %.c,$(B)/native/%.o,$(NATIVE_SRCS))
NATIVE_CFLAGS := $(SHIM_CFLAGS) -g -O2 -Ikernel
# What goes to the medium and what is allocated passes through the program, and its
# spinlocks only lock.
NATIVE_LDFLAGS := -Wl,--wrap=port_pmem_store,--wrap=port_pmem_fence,--wrap=port_pmem_load \
	-Wl,--wrap=port_mem_get,--wrap=port_mem_put,--wrap=port_mem_size \
	-Wl,--wrap=shim_spin_lock,--wrap=shim_spin_trylock,--wrap=shim_spin_unlock \
	-Wl,--wrap=shim_assert_held

$(B)/native/%.o: %.c | deps-build
	@mkdir -p $(@D)
	@$(CC) $(NATIVE_CFLAGS) -MMD -c -o $@ $<

$(B)/native/bench-native: $(NATIVE_OBJS)
	@$(CC) $(NATIVE_CFLAGS) $(NATIVE_LDFLAGS) -o $@ $^ $(SHIM_LDLIBS)

-include $(shell find $(B)/native -name '*.d' 2>/dev/null)

.PHONY: bench-native profile-native
# ARGS: parts, if not all of them; full-attach runs only when it is named.
bench-native: $(B)/native/bench-native
	@$< $(B)/bench-native.json $(ARGS)

# Instructions by function; OP is an operation, TIMES how often.
profile-native: $(B)/native/bench-native | deps-profile
	@$(NATIVE_DIR)/profile $< $(or $(OP),write_4k) $(TIMES)
