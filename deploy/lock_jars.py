"""Make deploy/server-jars.txt: the jars of the local Neo4j, one line each with size and SHA-256.

Needs Maven, which resolves the versions; nobody who only runs lmr needs it. Use after changing a pin:

    python deploy/lock_jars.py
"""

import hashlib
import subprocess
import tempfile
from pathlib import Path

PINS = {
    "org.neo4j:neo4j": "5.26.25",
    "org.neo4j.client:neo4j-browser": "5.24.0",
    "org.neo4j.gds:proc": "2.13.9",
    "org.neo4j.gds:proc-sysinfo": "2.13.9",
    "org.neo4j.gds:opengds-extension": "2.13.9",
    "org.neo4j.gds:open-model-catalog": "2.13.9",
    "org.neo4j.gds:open-write-services": "2.13.9",
    "org.apache.commons:commons-lang3": "3.18.0",
}
DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def pom() -> str:
    """A Maven project that depends on exactly the pinned artifacts."""
    dependencies = "".join(DEPENDENCY.format(*name.split(":"), version) for name, version in PINS.items())
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>lmr</groupId><artifactId>servers</artifactId>"
        f"<version>1</version><dependencies>{dependencies}</dependencies></project>"
    )


def main() -> None:
    """Resolve the pins with Maven and write the list beside this script."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pom.xml").write_text(pom())
        command = "mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -Dmdep.useRepositoryLayout=true"
        subprocess.run([*command.split(), "-DoutputDirectory=jars"], cwd=folder, check=True)
        jars = Path(folder) / "jars"
        lines = [
            f"{hashlib.sha256(jar.read_bytes()).hexdigest()} {jar.stat().st_size} {jar.relative_to(jars)}"
            for jar in sorted(jars.rglob("*.jar"))
        ]
    Path(__file__).with_name("server-jars.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
