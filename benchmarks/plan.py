"""What a large collection takes on many cores, by a model of measured costs: hours, bytes, money, what breaks first.

    python -m benchmarks.plan [--photos N] [--cores N ...] [--gbit X] [--core-hour X] [--write docs/machines.md]

The model: the steps of a command come one after the other. A step needs several things at once (the workers' cores; the
command's own thread, which reads features and keeps outcomes; what sends beside it; its network), works as fast as the
slowest of them lets it, and that one is named. Nothing is lost to stragglers, to beginning, or to nodes that die. Every
cost is one of `Costs`, each measured on one core of two (AMD EPYC, shared) unless it says otherwise: put in yours.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BEGIN, _END = "<!-- benchmarks.plan -->", "<!-- end -->"
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of one core, and bytes."""

    photo: float = 0.24  # describing it: docs/figures.md
    photo_sent: float = 0.005  # of the command's machine, for each: benchmarks.cluster
    photo_bytes: float = 500e3  # of a file; an assumption
    pair: float = 1 / 695  # verifying it, with reading and unpacking: docs/figures.md
    pair_sent: float = 0.00007  # as photo_sent
    photos_a_pair: float = 0.34  # that are sent for it: the blocks of benchmarks.cluster
    features: float = 142e3  # bytes of a photo's local features
    stored: float = 283e3  # bytes of all that is kept of a photo
    features_read: float = 0.000064  # a photo's, from the ledger
    kept: float = 0.00004  # a pair into the ledger, one writer: 60,000 pairs
    match_kept: float = 0.00009  # one that matches
    pair_bytes: float = 54  # in the ledger
    match_bytes: float = 233
    matches: float = 0.05  # of all pairs; an assumption
    dimensions: float = 256
    products: float = 84e9  # operations a second of FAISS, one core: 5,000 x 40,000 descriptors
    refined: float = 0.00034  # an image in a round, one thread: 80,000 images with 20 links each
    refining_bytes: float = 256 * 16  # for an image: originals, what is refined, one array in double precision
    forest: float = 1 / 380_000  # an edge: benchmarks.forest
    written: float = 1 / 20_000  # a match into the importer's files, one thread
    imported: float = 1 / 54_000  # and by the importer: 1.5 million between 100,000 images
    graph_bytes: float = 826  # a match in Neo4j, with the images'


@dataclass(frozen=True, slots=True)
class Case:
    """So many photos, the pairs of each in all rounds, and what is at hand; gbit: of the command's machine."""

    photos: float
    pairs: float
    rounds: int
    cores: int
    gbit: float
    command_cores: int = 16

    @property
    def all_pairs(self) -> float:
        """In all rounds."""
        return self.photos * self.pairs

    def steps(self, cost: Costs) -> Iterator[tuple[str, Mapping[str, float]]]:
        """Each step with the seconds that it would take by each of what it needs."""
        n, pairs, network = self.photos, self.all_pairs, 8 / (self.gbit * 1e9)
        matches = pairs * cost.matches
        describing = {
            "cores": n * cost.photo / self.cores,
            "the command": n * cost.photo_sent,
            "its network": n * (cost.photo_bytes + cost.stored) * network,
        }
        products = self.rounds * 2 * n * n * cost.dimensions / cost.products
        read, kept = pairs * cost.photos_a_pair * cost.features_read, pairs * cost.kept + matches * cost.match_kept
        verifying = {
            "cores": pairs * cost.pair / self.cores,
            "the command": read + kept,
            "sending": pairs * cost.pair_sent,
            "its network": pairs * cost.photos_a_pair * cost.features * network,
        }
        importing = matches * (cost.written + cost.forest + cost.imported)
        yield "describing", describing
        yield "proposing", {"the command's cores": products / self.command_cores}
        yield "verifying", verifying
        yield "refining", {"one thread": n * cost.refined * self.rounds}
        yield "forest and import", {"one thread": importing}

    def sizes(self, cost: Costs) -> dict[str, float]:
        """Bytes that one machine has to hold."""
        matches = self.all_pairs * cost.matches
        pairs = self.all_pairs * cost.pair_bytes + matches * (cost.match_bytes - cost.pair_bytes)
        return {
            "features in the ledger": self.photos * cost.stored,
            "pairs in the ledger": pairs,
            "memory of the command": self.photos * cost.refining_bytes + self.all_pairs / self.rounds * 24,
            "Neo4j": matches * cost.graph_bytes,
        }

    def full_at(self, cost: Costs) -> list[tuple[float, str, str]]:
        """(cores, step, what): how many cores keep each of the others busy, the fewest first."""
        found = []
        for step, needs in self.steps(cost):
            if work := needs.get("cores"):
                found += [(self.cores * work / other, step, name) for name, other in needs.items() if name != "cores"]
        return sorted(found)


@dataclass(frozen=True, slots=True)
class Prices:
    """In dollars: a core and hour, and a GB kept for a month."""

    core_hour: float
    gb_month: float


def main() -> None:
    """Print the tables, or put them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=float, default=2.1e6)
    parser.add_argument("--pairs", type=float, default=46, help="of a photo, in all rounds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, nargs="*", default=[2, 16, 64, 256])
    parser.add_argument("--gbit", type=float, default=10)
    parser.add_argument("--core-hour", type=float, default=0.045)
    parser.add_argument("--gb-month", type=float, default=0.08)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    prices = Prices(options.core_hour, options.gb_month)
    cases = [Case(options.photos, options.pairs, options.rounds, cores, options.gbit) for cores in options.cores]
    far = Case(1e8, options.pairs, options.rounds, 1000, options.gbit)
    text = "\n".join([*plan(cases, Costs(), prices), "", *breaking(far, Costs())])
    if options.write is None:
        print(text)
        return
    page = options.write.read_text()
    before, _, rest = page.partition(_BEGIN)
    _, found, after = rest.partition(_END)
    if not found:
        raise SystemExit(f"{options.write} has no {_BEGIN} ... {_END}")
    options.write.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}")


def plan(cases: list[Case], cost: Costs, prices: Prices) -> Iterator[str]:
    """Hours of each step by cores, and money."""
    one = cases[0]
    yield (
        f"{one.photos:,.0f} photos, {one.pairs:g} pairs of each in {one.rounds} rounds ({one.all_pairs / 1e6:,.0f} "
        f"million), {one.gbit:g} Gbit/s, {one.command_cores} more cores for the command and its databases:"
    )
    yield ""
    yield "| hours on so many cores | " + " | ".join(str(case.cores) for case in cases) + " |"
    yield "|---" * (len(cases) + 1) + "|"
    columns = [list(case.steps(cost)) for case in cases]
    for k, (step, _) in enumerate(columns[0]):
        yield f"| {step} | " + " | ".join(limited(column[k][1]) for column in columns) + " |"
    hours = [sum(max(needs.values()) for _, needs in column) / 3600 for column in columns]
    yield "| all | " + " | ".join(f"{each:,.1f}" for each in hours) + " |"
    kept = sum(size for what, size in one.sizes(cost).items() if not what.startswith("memory"))
    money = [
        (case.cores + case.command_cores) * each * prices.core_hour for case, each in zip(cases, hours, strict=True)
    ]
    yield "| machines, dollars | " + " | ".join(f"{each:,.0f}" for each in money) + " |"
    yield ""
    yield "; ".join(f"{what} {size / _GB:,.0f} GB" for what, size in one.sizes(cost).items()) + (
        f". To keep it costs {kept / _GB * prices.gb_month:,.0f} dollars a month. Prices are an assumption: "
        f"{prices.core_hour:g} dollars a core and hour, {prices.gb_month:g} a GB and month, about what Amazon asked in "
        "2024 for c7i machines on demand and gp3 disks in us-east-1; they were not looked up again."
    )


def limited(needs: Mapping[str, float]) -> str:
    """Hours, and what they are due to where it is not the cores."""
    name = max(needs, key=lambda name: needs[name])
    due = "" if name == "cores" or len(needs) == 1 else f" ({name})"
    return f"{needs[name] / 3600:,.1f}{due}"


def breaking(case: Case, cost: Costs) -> Iterator[str]:
    """What does not go on growing."""
    yield f"{case.photos:,.0f} photos on {case.cores:,} cores, as lmr is now. What is busy first, as cores are added:"
    yield ""
    yield "| step | what | is busy with so many cores |"
    yield "|---|---|---|"
    for cores, step, what in case.full_at(cost):
        yield f"| {step} | {what} | {cores:,.0f} |"
    yield ""
    yield "| step | hours |"
    yield "|---|---|"
    for step, needs in case.steps(cost):
        yield f"| {step} | {limited(needs)} |"
    yield ""
    yield (
        "On one machine: " + "; ".join(f"{what} {size / _GB:,.0f} GB" for what, size in case.sizes(cost).items()) + "."
    )


if __name__ == "__main__":
    main()
