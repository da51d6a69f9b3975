"""Figures as people read them: ratios, goals, lines of a table."""
import rows


def short(v):
    """Three digits, whatever the size."""
    if v is None:
        return "–"
    if abs(v) >= 1000:
        return f"{v:,.0f}"
    return f"{v:.0f}" if abs(v) >= 100 else f"{v:.3g}"


def with_unit(figure, v):
    return f"{short(v)} {rows.UNITS.get(figure, figure)}"


def result(row, runs, medians):
    """What is kept of a row: every run, the medians, and for each goal what was reached."""
    ours = "cache" if "cache" in medians else "odradek"
    goals = []
    for goal in row.goals:
        mine, theirs = medians.get(ours, {}).get(goal.figure), medians.get(goal.against, {}).get(goal.figure)
        if mine is None or (not goal.absolute and not theirs):
            continue
        got = mine if goal.absolute else mine / theirs
        goals.append({"figure": goal.figure, "goal": goal.text(), "got": got, "absolute": goal.absolute, "against": goal.against,
                      "met": goal.met(got)})
    figures = list(dict.fromkeys([g.figure for g in row.goals] + list(row.shown)))
    return {"name": row.name, "title": row.title, "safe": row.safe, "figures": figures, "medians": medians, "runs": runs, "goals": goals}


def head(meta):
    m = meta["machine"]
    return (f"{meta['date']}, commit {meta['commit']}, {m['cpu']}, {m['cores']} cores, {m['memory_gb']} GB, Linux {m['kernel']}, "
            f"{meta['repeat']} run{'s' if meta['repeat'] > 1 else ''} each{', quick' if meta['quick'] else ''}\n\n"
            "| work | Apache Kafka 4.3.1 | Odradek | ratio | goal | |\n|---|---|---|---|---|---|")


def lines(r):
    """A line of the table for each figure; S marks what runs in Odradek's default."""
    out, title = [], ("**S** " if r["safe"] else "") + r["title"]
    ours = next((s for s in ("cache", "odradek") if s in r["medians"]), None)
    others = [s for s in r["medians"] if s not in ("cache", "odradek", "kafka", "kafka-sync")]
    for figure in r["figures"]:
        get = {side: m.get(figure) for side, m in r["medians"].items()}
        if all(v is None for v in get.values()):
            continue
        kafka = with_unit(figure, get["kafka"]) if get.get("kafka") is not None else "–"
        if get.get("kafka-sync") is not None:
            kafka += f"; flush.messages=1: {short(get['kafka-sync'])}"
        mine = with_unit(figure, get[ours]) if ours and get[ours] is not None else "–"
        for other in others:
            if get[other] is not None:
                mine += f"; {other}: {short(get[other])}"
        ratio = [short(get[ours] / get[s]) + " ×" for s in ("kafka", "kafka-sync") if ours and get[ours] is not None and get.get(s)]
        goal = next((g for g in r["goals"] if g["figure"] == figure), None)
        out.append(f"| {title} | {kafka} | {mine} | {'; '.join(ratio) or '–'} | {goal['goal'] if goal else ''} | "
                   f"{'' if goal is None else '✓' if goal['met'] else '**missed**'} |")
        title = ""
    return "\n".join(out)
