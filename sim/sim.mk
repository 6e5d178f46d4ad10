# SPDX-License-Identifier: GPL-2.0-or-later
# The simulator: the engine and the shim with the back end of one thread, and the
# models around them. Segments are tiny, so that the log turns often, and so are ksets, so
# that they get full, and keys with CRCs, so that a request has several.

S := $(B)/sim
SIM_DEFS := -DPCACHE_SEG_BYTES=20480 -DPCACHE_MIN_SEGS=8 -DPCACHE_MIN_BYTES=184320 -DPCACHE_KSET_KEYS=12 \
	    -DPCACHE_CRC_KEY_SECTORS=8
SIM_OPT := -O2 -g
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

test-sim: sim-programs
	@sim/run-tests

include sim/mutants.mk
