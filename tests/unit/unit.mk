# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests in userspace: each tests/unit/*-test.c is a program, linked with the
# shim, the engine and host.c.
#
# Programs of one variant share the engine's objects. UNIT_VARIANT_<program>
# names another variant than "full", UNIT_DEFS_<variant> has its definitions.

U := $(B)/unit
UNIT_DIR := tests/unit
UNIT_PROGRAMS := $(patsubst $(UNIT_DIR)/%.c,%,$(wildcard $(UNIT_DIR)/*-test.c))
UNIT_ENGINE := $(wildcard kernel/*.c)

UNIT_DEFS_full :=
# Segments of 256 KiB, so that the log turns often.
UNIT_DEFS_small := -DPCACHE_SEG_BYTES=262144 -DPCACHE_MIN_SEGS=16 -DPCACHE_MIN_BYTES=4194304
UNIT_VARIANT_load-test := small
UNIT_VARIANT_lanes-test := small
# As small as can be, for tests that look at every byte or fill the cache at once.
UNIT_DEFS_tiny := -DPCACHE_SEG_BYTES=65536 -DPCACHE_MIN_SEGS=8 -DPCACHE_MIN_BYTES=544768
UNIT_VARIANT_params-test := tiny
UNIT_VARIANT_stats-test := tiny
UNIT_VARIANT_fault-test := tiny
UNIT_VARIANT_modes-test := tiny
UNIT_VARIANT_eviction-test := tiny
UNIT_VARIANT_discard-test := tiny
UNIT_VARIANT_reload-test := tiny
UNIT_VARIANT_resize-test := tiny
UNIT_VARIANT_pressure-test := tiny
UNIT_VARIANT_media-test := tiny
UNIT_VARIANT_checker-test := tiny
# What else of this tree a program is made of.
UNIT_SRCS_checker-test := sim/checker.c sim/mainline.c
UNIT_SRCS_resize-test := $(UNIT_SRCS_checker-test)
# Once more, with segments of full size.
UNIT_PROGRAMS += checker-full-test
UNIT_SOURCE_checker-full-test := checker-test
UNIT_SRCS_checker-full-test := $(UNIT_SRCS_checker-test)
# Some of what a round of write-back looks at is met, whom it tells, and the end of a work.
UNIT_LDFLAGS_pressure-test := -Wl,--wrap=pcache_tree_first,--wrap=pcache_walk_begin \
			      -Wl,--wrap=cancel_work_sync,--wrap=pcache_wb_finish_waiters
# They look at each store to the medium.
UNIT_LDFLAGS_resize-test := -Wl,--wrap=port_pmem_store
UNIT_LDFLAGS_media-test := -Wl,--wrap=port_pmem_store,--wrap=port_pmem_fence \
			   -Wl,--wrap=port_page_copy
# Without the engine: tests of the shim itself, and of models.
UNIT_SHIM_PROGRAMS := shim-test policy-test
UNIT_SRCS_policy-test := $(addprefix sim/,policy-models.c log-model.c trace-source.c)
unit_variant = $(or $(UNIT_VARIANT_$(1)),full)

UNIT_CFLAGS := $(SHIM_CFLAGS) -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
	       -fno-sanitize-recover=undefined -Ikernel -Isim
UNIT_LDLIBS := $(SHIM_LDLIBS) -lcrypto -lm

UNIT_SHIM_OBJS := $(patsubst %.c,$(U)/obj/%.o,$(SHIM_SRCS) $(SHIM_THREADS_SRCS))

$(U)/obj/shim/%.o: shim/%.c | deps-build
	@mkdir -p $(@D)
	@$(CC) $(UNIT_CFLAGS) -MMD -c -o $@ $<

# $(1): variant
define unit_variant_rules
$(U)/obj/$(1)/%.o: %.c | deps-build
	@mkdir -p $$(@D)
	@$$(CC) $$(UNIT_CFLAGS) $$(UNIT_DEFS_$(1)) -MMD -c -o $$@ $$<
endef

# $(1): program; what of it is not the shim's
unit_srcs = $(UNIT_DIR)/$(or $(UNIT_SOURCE_$(1)),$(1)).c $(if $(filter $(1),$(UNIT_SHIM_PROGRAMS)),,$(UNIT_DIR)/host.c $(UNIT_ENGINE)) \
	    $(UNIT_SRCS_$(1))

# $(1): program, $(2): its variant
define unit_program_rules
$(U)/$(1): $(patsubst %.c,$(U)/obj/$(2)/%.o,$(call unit_srcs,$(1))) $(UNIT_SHIM_OBJS)
	@$$(CC) $$(UNIT_CFLAGS) $$(UNIT_LDFLAGS_$(1)) -o $$@ $$^ $$(UNIT_LDLIBS)
endef

$(foreach v,$(sort $(foreach p,$(UNIT_PROGRAMS),$(call unit_variant,$(p)))),\
	$(eval $(call unit_variant_rules,$(v))))
$(foreach p,$(UNIT_PROGRAMS),$(eval $(call unit_program_rules,$(p),$(call unit_variant,$(p)))))

-include $(shell find $(U) -name '*.d' 2>/dev/null)

.PHONY: unit unit-fast unit-programs
unit-programs: $(addprefix $(U)/,$(UNIT_PROGRAMS))

# Each program's last line says how it ended; its own lines stand in its log.
unit: unit-programs
	@tests/unit/run $(addprefix $(U)/,$(UNIT_PROGRAMS))

# The same in seconds: shorter loads.
unit-fast: unit-programs
	@OPS=20000 tests/unit/run $(addprefix $(U)/,$(UNIT_PROGRAMS))

# The engine with threads under ThreadSanitizer, one load after another for SECONDS.
TSAN_SRCS := $(UNIT_DIR)/load-test.c $(UNIT_DIR)/host.c $(UNIT_ENGINE) $(SHIM_SRCS) $(SHIM_THREADS_SRCS)
TSAN_CFLAGS := $(SHIM_CFLAGS) -g -O1 -fsanitize=thread -Ikernel $(UNIT_DEFS_small)
$(U)/load-test-tsan: $(TSAN_SRCS) | deps-build
	@mkdir -p $(@D)
	@$(CC) $(TSAN_CFLAGS) -o $@ $^ $(UNIT_LDLIBS)

.PHONY: tsan
tsan: $(U)/load-test-tsan
	@tests/unit/run-tsan $< $(or $(SECONDS),600)
