// What agrees in the matches of some pairs of images, by their numbers; frames: width and height of both, the match's first image first.
// params: pairs
// returns: a, b, transform, region_a, region_b, frames
// mode: read
UNWIND $pairs AS pair
MATCH (x:Image {number: pair[0]})
USING INDEX SEEK x:Image(number)
MATCH (y:Image {number: pair[1]})
USING INDEX SEEK y:Image(number)
WITH pair, x, y
MATCH (x)-[m:MATCHES]-(y)
WITH pair, m, startNode(m) AS first, endNode(m) AS second
RETURN pair[0] AS a, pair[1] AS b, m.transform AS transform, m.region_a AS region_a, m.region_b AS region_b,
       [[first.width, first.height], [second.width, second.height]] AS frames
