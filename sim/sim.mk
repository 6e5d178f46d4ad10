# SPDX-License-Identifier: GPL-2.0-or-later
# The simulator: the engine and the shim with the back end of one thread, and the
# models around them. Segments are tiny, so that the log turns often, and so are ksets, so
# that they get full, and keys with CRCs, so that a request has several.

S := $(B)/sim
SIM_DEFS := -DPCACHE_SEG_BYTES=20480 -DPCACHE_MIN_SEGS=8 -DPCACHE_MIN_BYTES=184320 -DPCACHE_KSET_KEYS=12 \
	    -DPCACHE_CRC_KEY_SECTORS=8
SIM_OPT := -O2 -g -mstringop-strategy=libcall
SIM_CFLAGS = $(SHIM_CFLAGS) $(SIM_OPT) -fno-pie -mcrc32 -Ikernel -Isim $(SIM_DEFS)
# The engine; mutants put another folder here.
SIM_KERNEL := kernel

SIM_WORLD_SRCS = $(wildcard $(SIM_KERNEL)/*.c) $(SHIM_SRCS)
SIM_MODEL_SRCS := $(addprefix sim/,pmem-model.c disk-model.c oracle.c checker.c mainline.c)
SIM_HOST_SRCS := shim/port-sim.c $(SIM_MODEL_SRCS) $(addprefix sim/,guard.c params.c session.c mainline-session.c verdict.c seed.c)
SIM_PROGRAMS := sim exhaustive selftest

$(S)/obj/%.o: %.c | deps-build
	@mkdir -p $(@D)
	@$(CC) $(SIM_CFLAGS) -MMD -c -o $@ $<

# Atomic operations of the engine are points.
SIM_POINTS := -DSHIM_ATOMIC_POINTS
$(patsubst %.c,$(S)/obj/%.o,$(wildcard $(SIM_KERNEL)/*.c)): SIM_OPT += $(SIM_POINTS)

# $(1): what is made, $(2): of which objects. All variables of the engine and the shim
# are in two sections, which a world resets.
sim_world = $(LD) -r -o $(1).tmp $(2) && objcopy --rename-section \
	.data=world_data --rename-section .bss=world_bss $(1).tmp $(1) && rm $(1).tmp
sim_link = $(CC) $(SIM_CFLAGS) -no-pie -o $(1) $(2) $(SHIM_LDLIBS)

$(S)/obj/world.o: $(patsubst %.c,$(S)/obj/%.o,$(SIM_WORLD_SRCS))
	@$(call sim_world,$@,$^)

$(addprefix $(S)/,$(SIM_PROGRAMS)): $(S)/%: $(S)/obj/sim/%.o $(S)/obj/world.o \
		$(patsubst %.c,$(S)/obj/%.o,$(SIM_HOST_SRCS))
	@$(call sim_link,$@,$^)

-include $(shell find $(S) -name '*.d' 2>/dev/null)

.PHONY: sim-programs sim exhaustive test-sim
sim-programs: $(addprefix $(S)/,$(SIM_PROGRAMS))

# make sim SECONDS=n [SEED=s]
sim: $(S)/sim
	@$(S)/sim --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))

# make exhaustive [LENGTH=n]
exhaustive: $(S)/exhaustive
	@$(S)/exhaustive --length $(or $(LENGTH),3)

test-sim: sim-programs $(S)/misses $(S)/misses-engine-64k $(S)/misses-engine-256k
	@sim/run-tests

# Eviction policies compared: models of them, and the engine with segments of several
# sizes, each of which is a program. A kset has fewer keys where segments are small.
MISSES_DEFS_64k := -DPCACHE_SEG_BYTES=65536 -DPCACHE_KSET_KEYS=8
MISSES_DEFS_256k := -DPCACHE_SEG_BYTES=262144 -DPCACHE_KSET_KEYS=16
MISSES_DEFS_1m := -DPCACHE_SEG_BYTES=1048576 -DPCACHE_KSET_KEYS=32
MISSES_DEFS_4m := -DPCACHE_SEG_BYTES=4194304 -DPCACHE_KSET_KEYS=64
MISSES_DEFS_16m :=
MISSES_SIZES := 64k 256k 1m 4m 16m
MISSES_ENGINES := $(addprefix $(S)/misses-engine-,$(MISSES_SIZES))

# $(1): size
define misses_engine_rules
$(S)/obj-$(1)/%.o: %.c | deps-build
	@mkdir -p $$(@D)
	@$$(CC) $$(filter-out $(SIM_DEFS),$$(SIM_CFLAGS)) $$(MISSES_DEFS_$(1)) \
		$$(if $$(MISSES_DEFS_$(1)),-DPCACHE_MIN_SEGS=8 -DPCACHE_MIN_BYTES=65536) -MMD -c -o $$@ $$<

$(S)/obj-$(1)/world.o: $(patsubst %.c,$(S)/obj-$(1)/%.o,$(wildcard $(SIM_KERNEL)/*.c)) \
		$(patsubst %.c,$(S)/obj/%.o,$(SHIM_SRCS))
	@$$(call sim_world,$$@,$$^)

$(S)/misses-engine-$(1): $(S)/obj-$(1)/sim/misses-engine.o $(S)/obj-$(1)/world.o \
		$(S)/obj/sim/trace-source.o $(S)/obj/shim/port-sim.o
	@$$(call sim_link,$$@,$$^) -lm
endef
$(foreach s,$(MISSES_SIZES),$(eval $(call misses_engine_rules,$(s))))

$(S)/misses: $(patsubst %,$(S)/obj/sim/%.o,misses policy-models log-model trace-source)
	@$(call sim_link,$@,$^) -lm

# make misses [TRACE=file] [ARGS=...]: those that are generated, and the file.
.PHONY: misses misses-programs
misses-programs: $(S)/misses $(MISSES_ENGINES)
misses: misses-programs
	@$(S)/misses $(ARGS) zipf scan loop shift "$(TRACE)"

include sim/mutants.mk
