# SPDX-License-Identifier: GPL-2.0-or-later
# Mutants: the engine with one planted bug each, which the simulator has to find.
# `sim/mutants --help` tells more.

.PHONY: mutants mutants-sample mutant-base mutant mutant-fuzz mutant-unit \
	mutant-unit-test mutant-tsan

mutants: | deps-build
	@sim/mutants

# What `make test` has time for: some that are found within seconds.
MUTANTS_QUICK := flush-at-once fua-at-once flush-result-ignored flush-joins-commit \
	flush-while-committing durable-published-early key-tail-one-slot \
	key-tail-past-dirty-tail freed-before-key-tail replayed-key-without-ref \
	room-given-twice superseded-by-index write-error-ignored later-epoch-not-held \
	epoch-not-stored own-place-not-forgotten
mutants-sample: | deps-build
	@sim/mutants $(addprefix --only ,$(MUTANTS_QUICK))

# For sim/mutants, which says what S, F and SIM_KERNEL are; a kernel/ that changes meanwhile
# spoils the fuzzer's part. mutant-base: all catchers with
# the unchanged engine. mutant: the same with one file changed; MUTANT: the mutant's folder;
# CHANGED: the file of its kernel/ that differs. All else is taken from S as it is.
MUTANT_PROGRAMS := sim exhaustive sweep
MUTANT_HOSTS_sweep = $(SWEEP_SRCS)
mutant_hosts = $(or $(MUTANT_HOSTS_$(1)),sim/$(1).c $(SIM_HOST_SRCS))

mutant-base: sim-programs
	@$(MAKE) -s $(addprefix $(F)/,sweep corpus medium)
	@cp $(F)/sweep $(F)/medium $(S)/
	@rm -rf $(S)/seeds
	@$(F)/corpus $(S)/seeds

mutant:
	@$(CC) $(SIM_CFLAGS) $(SIM_POINTS) -w -c -o $(MUTANT)/changed.o $(MUTANT)/kernel/$(CHANGED)
	@$(call sim_world,$(MUTANT)/world.o,$(MUTANT)/changed.o \
		$(filter-out $(S)/obj/$(SIM_KERNEL)/$(CHANGED:.c=.o),\
		$(SIM_WORLD_SRCS:%.c=$(S)/obj/%.o)))
	@$(foreach p,$(MUTANT_PROGRAMS),$(call sim_link,$(MUTANT)/$(p),$(MUTANT)/world.o \
		$(patsubst %.c,$(S)/obj/%.o,$(call mutant_hosts,$(p)))) &&) true

# The fuzzer of media with the mutant.
mutant-fuzz:
	@$(FUZZ_CC) $(FUZZ_CFLAGS) $(FUZZ_COVERAGE) -w -c -o $(MUTANT)/fuzz.o $(MUTANT)/kernel/$(CHANGED)
	@$(call sim_world,$(MUTANT)/fuzz-world.o,$(MUTANT)/fuzz.o \
		$(filter-out $(F)/obj/kernel/$(CHANGED:.c=.o),\
		$(patsubst %.c,$(F)/obj/%.o,$(wildcard kernel/*.c) $(SHIM_SRCS))))
	@$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer -no-pie -o $(MUTANT)/medium \
		$(MUTANT)/fuzz-world.o $(SHIM_LDLIBS) \
		$(patsubst %.c,$(F)/obj/%.o,$(FUZZ_SRCS_medium) shim/port-sim.c)

# A unit test with the mutant. UNIT: its program.
mutant-unit: $(if $(filter $(UNIT),load-test-tsan),mutant-tsan,mutant-unit-test)

# What a mutant has not read is zero, which is what passes most checks, and not by chance.
MUTANT_VARIANT = $(call unit_variant,$(UNIT))
mutant-unit-test:
	@$(CC) $(UNIT_CFLAGS) $(UNIT_DEFS_$(MUTANT_VARIANT)) -ftrivial-auto-var-init=zero -w -c \
		-o $(MUTANT)/unit.o $(MUTANT)/kernel/$(CHANGED)
	@$(CC) $(UNIT_CFLAGS) $(UNIT_LDFLAGS_$(UNIT)) -o $(MUTANT)/$(UNIT) $(MUTANT)/unit.o \
		$(patsubst %.c,$(U)/obj/$(MUTANT_VARIANT)/%.o,\
			$(filter-out kernel/$(CHANGED),$(call unit_srcs,$(UNIT)))) \
		$(UNIT_SHIM_OBJS) $(UNIT_LDLIBS)

mutant-tsan:
	@$(CC) $(TSAN_CFLAGS) -w -o $(MUTANT)/$(UNIT) $(MUTANT)/kernel/$(CHANGED) \
		$(filter-out kernel/$(CHANGED),$(TSAN_SRCS)) $(UNIT_LDLIBS)
