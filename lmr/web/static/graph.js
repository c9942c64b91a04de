// The graph around a photo, drawn once: the photo in the middle, what it matches around it, the strongest nearest.
"use strict";

(async () => {
  const place = document.getElementById("graph");
  if (!place) return;
  const answer = await fetch(place.dataset.source, { credentials: "same-origin" });
  if (!answer.ok) return;
  const { nodes, edges } = await answer.json();
  const SVG = "http://www.w3.org/2000/svg";
  const width = 900, height = 420, side = 54;
  const make = (name, values, parent) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
    return parent.appendChild(made);
  };
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}` }, place);
  const centre = nodes.find((one) => one.centre);
  const strength = new Map(nodes.map((one) => [one.id, 0]));
  for (const edge of edges) {
    if (edge.a === centre.id) strength.set(edge.b, edge.inliers);
    if (edge.b === centre.id) strength.set(edge.a, edge.inliers);
  }
  const others = nodes.filter((one) => !one.centre).sort((x, y) => strength.get(y.id) - strength.get(x.id));
  centre.x = width / 2; centre.y = height / 2;
  others.forEach((one, k) => {
    const turn = (2 * Math.PI * k) / others.length - Math.PI / 2;
    const far = others.length > 16 && k % 2 ? 0.62 : 1;
    one.x = width / 2 + Math.cos(turn) * (width / 2 - side) * far;
    one.y = height / 2 + Math.sin(turn) * (height / 2 - side) * far;
  });
  const at = new Map(nodes.map((one) => [one.id, one]));
  for (const edge of edges) {
    const [a, b] = [at.get(edge.a), at.get(edge.b)];
    const line = make("line", { x1: a.x, y1: a.y, x2: b.x, y2: b.y }, svg);
    line.setAttribute("stroke-width", Math.max(1, Math.min(8, Math.log2(edge.inliers + 1) - 2)));
    line.setAttribute("class", edge.excluded ? "out" : edge.tree ? "tree" : "match");
    make("title", {}, line).textContent = `${edge.name_a} – ${edge.name_b}: ${edge.inliers} inliers${edge.excluded ? `, takes no part: ${edge.excluded}` : ""}`;
  }
  for (const node of nodes) {
    const link = make("a", { href: `/photos/${node.id}`, class: node.centre ? "centre" : "" }, svg);
    make("circle", { cx: node.x, cy: node.y, r: side / 2 + 3 }, link);
    make("image", { href: `/photos/${node.id}/small`, x: node.x - side / 2, y: node.y - side / 2, width: side, height: side }, link);
    make("title", {}, link).textContent = node.name;
    make("text", { x: node.x, y: node.y + side / 2 + 14 }, link).textContent = node.name.slice(0, 24);
  }
})();
