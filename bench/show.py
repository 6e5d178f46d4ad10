# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows what bench/run has measured: tables, a profile, a picture."""

import os
from xml.sax.saxutils import escape

HERE = os.path.dirname(os.path.realpath(__file__))
OURS = "pcache"
NOTES = {"pcache": 1, "pcache_crc": 2}


def read_goals():
    """Target: operation: instructions."""
    goals = {name: {} for name in NOTES}
    with open(os.path.join(HERE, "goals"), encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if not fields or fields[0].startswith("#"):
                continue
            for name, column in NOTES.items():
                if fields[column] != "-":
                    goals[name][fields[0]] = int(fields[column])
    return goals


def print_columns(title, heads, rows):
    widths = [max(len(row[i]) for row in [heads] + rows) for i in range(len(heads))]
    print(f"\n{title}")
    for row in [heads] + rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def instructions_table(results, operations, everything):
    """Each target's number, and how many times that of pcache it is, or of the first."""
    numbers = results["instructions"]
    targets = list(numbers)
    base = OURS if OURS in targets else targets[0]
    rows = []
    for operation in operations:
        if not any(operation in numbers[target] for target in targets):
            continue
        row = [operation + (" (all)" if operation in everything else "")]
        unit = numbers[base].get(operation)
        for target in targets:
            value = numbers[target].get(operation)
            row.append("-" if value is None else f"{value:,.0f}")
            if target != base:
                row.append(f"{value / unit:.2f}" if value is not None and unit else "")
        rows.append(row)
    heads = ["operation"]
    for target in targets:
        heads += [target] + (["x"] if target != base else [])
    print_columns(f"Instructions for each operation (x: how many times {base}'s)", heads, rows)


def goals_table(results):
    numbers = results["instructions"]
    rows = []
    for target, goals in read_goals().items():
        for operation, goal in goals.items():
            value = numbers.get(target, {}).get(operation)
            if value is not None:
                rows.append([f"{target} {operation}", f"{value:,.0f}", f"{goal:,}",
                             f"{value / goal:.2f}"])
    if rows:
        print_columns("Against the goals", ["", "is", "goal", "x"], rows)


def other_table(results, operations, kind, title):
    numbers = results[kind]
    targets = list(numbers)
    rows = []
    for operation in operations:
        if any(operation in numbers[target] for target in targets):
            values = [numbers[target].get(operation) for target in targets]
            rows.append([operation] + ["-" if v is None else f"{v:,.2f}" for v in values])
    print_columns(title, ["operation"] + targets, rows)


def table(results, operations, everything):
    instructions_table(results, operations, everything)
    goals_table(results)
    other_table(results, operations, "bytes_stored",
                "Bytes stored to the cache device, for each operation")
    other_table(results, operations, "fences", "Fences, for each operation")
    other_table(results, operations, "locks", "Locks taken, for each operation")


def profile(target, operation, section, calls):
    """The functions of one operation, the largest first."""
    rows = []
    functions = sorted(section.functions.items(), key=lambda item: -item[1][1])
    for name, (_, instructions, entered) in functions:
        per_call = instructions / calls
        if per_call >= 1:
            rows.append([name, f"{per_call:,.1f}", f"{entered / calls:.2f}"])
    print_columns(f"{target} {operation}: {section.instructions / calls:,.0f} instructions",
                  ["function", "instructions", "times"], rows)


#
# The picture: a panel for each operation, a bar for each target.
#

WIDTH, LEFT, BAR, GAP, HEAD, COLUMNS = 430, 90, 15, 14, 22, 3
COLOURS = {"pcache": "#1b6ca8", "pcache_crc": "#5aa9dd"}


def panel(operation, numbers, goals, x, y):
    targets = list(numbers)
    values = [numbers[target].get(operation) for target in targets]
    most = max(value for value in values if value is not None)
    scale = (WIDTH - LEFT - 75) / most
    out = [f'<text x="{x}" y="{y + 13}" class="head">{escape(operation)}</text>']
    for i, (target, value) in enumerate(zip(targets, values)):
        top = y + HEAD + i * BAR
        out.append(f'<text x="{x + LEFT - 6}" y="{top + 11}" class="name">{escape(target)}</text>')
        if value is None:
            out.append(f'<text x="{x + LEFT}" y="{top + 11}" class="none">-</text>')
            continue
        length = max(value * scale, 1)
        out.append(f'<rect x="{x + LEFT}" y="{top + 1}" width="{length:.1f}" height="{BAR - 3}" '
                   f'fill="{COLOURS.get(target, "#a8a8a8")}"/>')
        out.append(f'<text x="{x + LEFT + length + 5:.1f}" y="{top + 11}">{value:,.0f}</text>')
        goal = goals.get(target, {}).get(operation)
        if goal is not None and goal <= most:
            at = x + LEFT + goal * scale
            out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top - 1}" y2="{top + BAR - 1}" '
                       'stroke="#c0392b" stroke-width="2"/>')
    return out


def picture(results, operations, path):
    numbers = results["instructions"]
    goals = read_goals()
    shown = [op for op in operations if any(op in numbers[target] for target in numbers)]
    height = HEAD + len(numbers) * BAR + GAP
    rows = -(-len(shown) // COLUMNS)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{COLUMNS * WIDTH + 20}" '
           f'height="{rows * height + 60}" font-family="sans-serif" font-size="11">',
           "<style>.head{font-weight:bold;font-size:12px}.name{text-anchor:end}"
           ".none{fill:#888}</style>",
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="10" y="22" font-size="16" font-weight="bold">Instructions for each '
           'operation</text>',
           '<text x="10" y="40">fewer are better; each panel has a scale of its own; red: the '
           'goal for pcache</text>']
    for i, operation in enumerate(shown):
        out += panel(operation, numbers, goals, 10 + i % COLUMNS * WIDTH,
                     54 + i // COLUMNS * height)
    out.append("</svg>")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")
