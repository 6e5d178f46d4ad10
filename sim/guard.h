/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Says which run it was when a program faults or does not come back. */
#ifndef SIM_GUARD_H
#define SIM_GUARD_H

/* Once in each process. */
void guard_init(void);
/* What runs from now on, as a line for the user; kept by reference. */
void guard_begin(const char *what);

#endif
