"""Make cypher/browser/lmr-guide.html: the page that Neo4j Browser opens, with links that prefill the queries.

Use after changing a query of cypher/analyst/ (a test compares):

    python deploy/make_guide.py
"""

import re
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment

from lmr.retrieval.analysis import DEFAULTS, AnalystQuery, analyst_queries

TARGET = Path(__file__).parent.parent / "cypher" / "browser" / "lmr-guide.html"
PICTURES = {
    "The forest of the greatest cluster": (
        "MATCH (c:Cluster)\nWITH c ORDER BY c.size DESC, c.id LIMIT 1\n"
        "MATCH way = (a:Image)-[:TREE]-(b:Image)\nWHERE (a)-[:IN]->(c) AND (b)-[:IN]->(c)\nRETURN way LIMIT 300"
    ),
    "Around the most central image of the greatest cluster: all accepted matches": (
        "MATCH (c:Cluster)\nWITH c ORDER BY c.size DESC, c.id LIMIT 1\n"
        "MATCH way = (:Image {id: c.central})-[m:MATCHES]-(:Image)\nWHERE m.excluded IS NULL\nRETURN way LIMIT 100"
    ),
    "Landmarks with their photos": "MATCH way = (:Landmark)<-[:DEPICTS]-(:Image)\nRETURN way LIMIT 200",
}
EXAMPLES = {"latitude": "48.85837", "longitude": "2.29448", "from": "1990", "to": "2005"}
PAGE = """<article class="guide">
<carousel class="deck container-fluid">
<slide class="row-fluid">
<div class="col-sm-12">
<h3>lmr</h3>
<p>Blue: images. Green, thick: the forest, over which rankings go; thin: other matches; numbers are inliers.
A link puts its query into the editor; run it with Ctrl+Enter.</p>
<h4>Pictures</h4>
<ul>
{% for title, address in pictures %}<li><a href="{{ address }}">{{ title }}</a></li>
{% endfor %}</ul>
<h4>Tables</h4>
<ul>
{% for title, address in tables %}<li><a href="{{ address }}">{{ title }}</a></li>
{% endfor %}</ul>
<p>Replace IDs in quotes by those you look for. The same queries run in a terminal: <code>lmr query</code>.</p>
</div>
</slide>
</carousel>
</article>
"""


def prefilled(text: str) -> str:
    """The Browser's own address, with a query in its editor."""
    return f"?cmd=edit&arg={quote(text, safe='')}"


def literal(query: AnalystQuery) -> str:
    """The query with its parameters as literals: the Browser has none set. Only for a person to read and edit."""
    values = {name: str(DEFAULTS.get(name) or EXAMPLES.get(name) or f"'{name.upper()}_ID'") for name in query.params}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], query.text)


def page() -> str:
    """The guide as HTML."""
    tables = [(f"{query.name}: {query.about}", prefilled(literal(query))) for query in analyst_queries()]
    pictures = [(title, prefilled(text)) for title, text in PICTURES.items()]
    return Environment(autoescape=True).from_string(PAGE).render(tables=tables, pictures=pictures)


if __name__ == "__main__":
    TARGET.write_text(page())
