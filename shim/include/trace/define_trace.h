/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tracepoints are empty here, so there is nothing to define. */
