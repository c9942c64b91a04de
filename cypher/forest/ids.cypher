// The ids of images by their numbers.
// params: numbers
// returns: number, id
// mode: read
UNWIND $numbers AS number
MATCH (i:Image {number: number})
USING INDEX SEEK i:Image(number)
RETURN number, i.id AS id
