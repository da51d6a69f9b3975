"""Line charts as small SVG files, without anybody's help."""
import html
import math

W, H, LEFT, RIGHT, TOP, BOTTOM = 640, 300, 60, 150, 36, 44
COLOURS = ["#1b6ca8", "#c0392b", "#27803b", "#8e5aa8", "#b9770e"]


def nice(v):
    """The next of 1, 2, 5, 10 … at or above v."""
    scale = 10 ** math.floor(math.log10(v))
    return next(m * scale for m in (1, 2, 5, 10) if m * scale >= v * 0.999)


def number(v):
    return f"{v:,.0f}" if v >= 100 or v == int(v) else f"{v:g}"


def lines(title, x_label, y_label, curves):
    """curves: {name: [(x, y)]}. x is logarithmic, y begins at 0, so that flat looks flat."""
    xs = sorted({x for points in curves.values() for x, _ in points})
    top = nice(max(y for points in curves.values() for _, y in points) * 1.05)
    low, high = math.log10(xs[0]), math.log10(xs[-1])

    def at(x, y):
        return (LEFT + (math.log10(x) - low) / ((high - low) or 1) * (W - LEFT - RIGHT), H - BOTTOM - y / top * (H - TOP - BOTTOM))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}" font-family="sans-serif" font-size="12">',
           f'<rect width="{W}" height="{H}" fill="white"/>', f'<text x="{LEFT}" y="20" font-size="14">{html.escape(title)}</text>',
           f'<text x="{(LEFT + W - RIGHT) / 2}" y="{H - 8}" text-anchor="middle">{html.escape(x_label)}</text>',
           f'<text transform="translate(14 {(TOP + H - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{html.escape(y_label)}</text>']
    for i in range(6):
        v = top * i / 5
        _, y = at(xs[0], v)
        out.append(f'<path d="M{LEFT} {y:.1f}H{W - RIGHT}" stroke="#ddd"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(v)}</text>')
    for x in xs:
        px, _ = at(x, 0)
        out.append(f'<text x="{px:.1f}" y="{H - BOTTOM + 16}" text-anchor="middle">{number(x)}</text>')
    used = []
    for i, (name, points) in enumerate(curves.items()):
        colour, places = COLOURS[i % len(COLOURS)], [at(*p) for p in sorted(points)]
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        y = places[-1][1] + 4
        while any(abs(y - u) < 14 for u in used):
            y -= 14
        used.append(y)
        out.append(f'<text x="{W - RIGHT + 8}" y="{y:.1f}" fill="{colour}">{html.escape(name)}</text>')
    return "\n".join([*out, "</svg>", ""])


# --- flame graphs -----------------------------------------------------------------------------------------------------------

FLAME_W, ROW, CHAR = 1200, 17, 6.6
HUES = {"kernel": "#d9a441", "odradek": "#d9633f", "library": "#7a9fc2"}


def flame(title, stacks, origin):
    """stacks: {(frame, …): samples}, the outermost first; origin(frame) names its colour. Hovering shows what a box is."""
    root = {"n": 0, "below": {}}
    for stack, n in stacks.items():
        node = root
        root["n"] += n
        for frame in stack:
            node = node["below"].setdefault(frame, {"n": 0, "below": {}})
            node["n"] += n
    total, boxes, deepest = root["n"] or 1, [], 0

    def place(node, left, depth):
        nonlocal deepest
        for frame in sorted(node["below"]):
            below = node["below"][frame]
            width = below["n"] / total * FLAME_W
            if width >= 0.5:
                deepest = max(deepest, depth + 1)
                boxes.append((frame, left, depth, width, below["n"]))
                place(below, left, depth + 1)
            left += width
    place(root, 0, 0)
    height = deepest * ROW + 40
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {FLAME_W} {height}" font-family="monospace" font-size="11">',
           f'<rect width="{FLAME_W}" height="{height}" fill="white"/><text x="4" y="16" font-size="14">{html.escape(title)}</text>',
           "<style>g:hover rect{stroke:#000}</style>"]
    for frame, left, depth, width, n in boxes:
        y = height - (depth + 1) * ROW - 4
        fits = int(width / CHAR)
        text = frame if len(frame) <= fits else frame[:fits - 1] + "…" if fits > 3 else ""
        out.append(f'<g><title>{html.escape(frame)}: {n / total * 100:.1f} %</title><rect x="{left:.1f}" y="{y}" width="{max(width - 0.5, 0.5):.1f}" '
                   f'height="{ROW - 1}" fill="{HUES[origin(frame)]}"/>'
                   + (f'<text x="{left + 2:.1f}" y="{y + 12}">{html.escape(text)}</text>' if text else "") + "</g>")
    return "\n".join([*out, "</svg>", ""])
