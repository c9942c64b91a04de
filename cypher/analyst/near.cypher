// Images taken within some metres of a position, nearest first.
// params: latitude, longitude, metres, limit
// returns: id, name, metres, taken_at, latitude, longitude
// mode: read
WITH point({latitude: toFloat($latitude), longitude: toFloat($longitude)}) AS centre
MATCH (i:Image)
USING POINT INDEX i:Image(location)
WHERE point.distance(i.location, centre) <= toFloat($metres)
RETURN i.id AS id, i.name AS name, point.distance(i.location, centre) AS metres, toString(i.taken_at) AS taken_at,
       i.location.latitude AS latitude, i.location.longitude AS longitude
ORDER BY metres, id
LIMIT toInteger($limit)
