// What is known of images, by their numbers.
// params: numbers
// returns: number, id, name, landmark
// mode: read
UNWIND $numbers AS number
MATCH (i:Image {number: number})
USING INDEX SEEK i:Image(number)
OPTIONAL MATCH (i)-[:DEPICTS]->(l:Landmark)
RETURN number, i.id AS id, i.name AS name, min(l.name) AS landmark
