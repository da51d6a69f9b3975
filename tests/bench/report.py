"""Figures as people read them: ratios, goals, lines of a table."""
import rows

OURS = ("cache", "odradek")
KNOWN = (*OURS, "kafka", "kafka-sync", "limit")


def short(v):
    """Three digits, whatever the size."""
    if v is None:
        return "–"
    if abs(v) >= 1000:
        return f"{v:,.0f}"
    return f"{v:.0f}" if abs(v) >= 100 else f"{v:.3g}"


def with_unit(figure, v):
    return "–" if v is None else f"{short(v)} {rows.UNITS.get(figure, figure)}"


def ours_of(medians):
    return next((s for s in OURS if s in medians), None)


def result(row, runs, medians):
    """What is kept of a row: every run, the medians, and for each goal what was reached."""
    ours, goals = ours_of(medians), []
    for goal in row.goals:
        mine, theirs = medians.get(ours, {}).get(goal.figure), medians.get(goal.against, {}).get(goal.figure)
        if mine is None or (not goal.absolute and not theirs):
            continue
        got = mine if goal.absolute else mine / theirs
        goals.append({"figure": goal.figure, "goal": goal.text(), "got": got, "absolute": goal.absolute, "against": goal.against,
                      "met": goal.met(got)})
    figures = list(dict.fromkeys([g.figure for g in row.goals] + list(row.shown)))
    return {"name": row.name, "title": row.title, "safe": row.safe, "figures": figures, "medians": medians, "runs": runs, "goals": goals,
            "limit": row.limit and {"words": row.limit.words, "figure": row.limit.figure, "args": row.limit.args}}


def head(meta, others):
    m = meta["machine"]
    columns = ["work", "Apache Kafka 4.3.1", "Odradek", *others, "ratio", "goal", "", "of the machine's"]
    return (f"{meta['date']}, commit {meta['commit']}, {m['cpu']}, {m['cores']} cores, {m['memory_gb']} GB, Linux {m['kernel']}, "
            f"{meta['repeat']} run{'s' if meta['repeat'] > 1 else ''} each{', quick' if meta['quick'] else ''}\n\n"
            f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")


def of_limit(r, figure, mine):
    """How near the machine's own limit a figure is, in words."""
    bound = r["medians"].get("limit", {}).get(figure)
    if not bound or mine is None:
        return ""
    if figure in rows.MORE_IS_BETTER:
        return f"{mine / bound * 100:.0f} % of {r['limit']['words']}, {with_unit(figure, bound)}"
    return f"{short(mine / bound)} × {r['limit']['words']}, {with_unit(figure, bound)}"


def lines(r, others):
    """A line of the table for each figure; S marks what runs in Odradek's default."""
    out, title, ours = [], ("**S** " if r["safe"] else "") + r["title"], ours_of(r["medians"])
    for figure in r["figures"]:
        get = {side: m.get(figure) for side, m in r["medians"].items()}
        if all(v is None for side, v in get.items() if side != "limit"):
            continue
        kafka, mine = with_unit(figure, get.get("kafka")), get.get(ours)
        if get.get("kafka-sync") is not None:
            kafka += f"; flush.messages=1: {short(get['kafka-sync'])}"
        ratios = [f"{short(mine / get[s])} ×" for s in ("kafka", "kafka-sync") if mine is not None and get.get(s)]
        goals = [g for g in r["goals"] if g["figure"] == figure]
        cells = [title, kafka, with_unit(figure, mine), *(with_unit(figure, get.get(o)) for o in others), "; ".join(ratios),
                 "; ".join(g["goal"] for g in goals), "; ".join("✓" if g["met"] else "**missed**" for g in goals), of_limit(r, figure, mine)]
        out.append(f"| {' | '.join(cells)} |")
        title = ""
    return "\n".join(out)
