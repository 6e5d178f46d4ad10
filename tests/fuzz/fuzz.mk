# SPDX-License-Identifier: GPL-2.0-or-later
# Hostile media, tables, messages and scripts, on the simulator's back end: three
# programs with libFuzzer, and the sweep, which is built like the simulator.

FUZZ_DIR := tests/fuzz
F := $(B)/fuzz
FUZZ_MODELS := $(addprefix sim/,pmem-model.c oracle.c checker.c)

#
# The sweep
#

SWEEP_SRCS := $(addprefix $(FUZZ_DIR)/,sweep.c sample.c world.c) $(FUZZ_MODELS) \
	      sim/disk-model.c shim/port-sim.c

$(F)/sweep: $(patsubst %.c,$(S)/obj/%.o,$(SWEEP_SRCS)) $(S)/obj/world.o
	@mkdir -p $(@D)
	@$(call sim_link,$@,$^)

.PHONY: sweep
sweep: $(F)/sweep
	@$(F)/sweep

#
# Programs with libFuzzer; coverage is that of the engine alone
#

FUZZ_CC := clang
FUZZ_TARGETS := medium table script
FUZZ_CFLAGS = $(SHIM_CFLAGS) -O1 -g -fno-pie -mcrc32 -Ikernel -Isim -I$(FUZZ_DIR) $(SIM_DEFS) \
	      -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_COVERAGE := -fsanitize=fuzzer-no-link -fno-sanitize-coverage=stack-depth

FUZZ_SRCS_medium := $(addprefix $(FUZZ_DIR)/,medium.c edit.c mutate.c sample.c wide-disk.c \
		    world.c) $(FUZZ_MODELS)
FUZZ_SRCS_table := $(addprefix $(FUZZ_DIR)/,table.c sample.c wide-disk.c world.c) $(FUZZ_MODELS)
FUZZ_SRCS_script := $(addprefix $(FUZZ_DIR)/,script.c world.c) $(FUZZ_MODELS) \
		    $(addprefix sim/,disk-model.c verdict.c mainline.c session.c params.c)

$(F)/obj/kernel/%.o: kernel/%.c | deps-fuzz
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(FUZZ_CFLAGS) $(FUZZ_COVERAGE) -MMD -c -o $@ $<

$(F)/obj/%.o: %.c | deps-fuzz
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -c -o $@ $<

# An array that nobody needed yet is NULL there, with nothing added to it.
$(F)/obj/sim/mainline.o: FUZZ_CFLAGS += -fno-sanitize=pointer-overflow

$(F)/obj/world.o: $(patsubst %.c,$(F)/obj/%.o,$(wildcard kernel/*.c) $(SHIM_SRCS))
	@$(call sim_world,$@,$^)

# $(1): target
define fuzz_program_rules
$(F)/$(1): $(patsubst %.c,$(F)/obj/%.o,$(FUZZ_SRCS_$(1)) shim/port-sim.c) $(F)/obj/world.o
	@$$(FUZZ_CC) $$(FUZZ_CFLAGS) -fsanitize=fuzzer -no-pie -o $$@ $$^ $$(SHIM_LDLIBS)
endef

$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_program_rules,$(t))))

# What writes the seeds.
$(F)/corpus: $(FUZZ_DIR)/corpus.c $(FUZZ_DIR)/edit.h $(FUZZ_DIR)/script.h | deps-fuzz
	@mkdir -p $(@D)
	@$(CC) $(SIM_CFLAGS) -no-pie -o $@ $<

-include $(shell find $(F) -name '*.d' 2>/dev/null)

.PHONY: deps-fuzz fuzz-programs fuzz
deps-fuzz:
	@scripts/install-deps fuzz

fuzz-programs: $(addprefix $(F)/,$(FUZZ_TARGETS) corpus)

# make fuzz [SECONDS=n], of all three together
fuzz: fuzz-programs
	@$(FUZZ_DIR)/run $(or $(SECONDS),60) $(F)
