// Clusters with their mean position, how many of their images have one, and how far the furthest of these lies from it.
// params: limit
// returns: cluster, size, name, located, latitude, longitude, metres
// mode: read
MATCH (c:Cluster)<-[:IN]-(i:Image)
WHERE i.location IS NOT NULL
// the mean of directions, as that of degrees would be wrong across the date line
WITH c, collect(i.location) AS places,
     avg(cos(radians(i.location.latitude)) * cos(radians(i.location.longitude))) AS x,
     avg(cos(radians(i.location.latitude)) * sin(radians(i.location.longitude))) AS y,
     avg(sin(radians(i.location.latitude))) AS z
WITH c, places, point({latitude: degrees(atan2(z, sqrt(x * x + y * y))), longitude: degrees(atan2(y, x))}) AS middle
UNWIND places AS place
WITH c, middle, count(*) AS located, max(point.distance(place, middle)) AS metres
RETURN c.id AS cluster, c.size AS size, c.name AS name, located, middle.latitude AS latitude,
       middle.longitude AS longitude, metres
ORDER BY located DESC, cluster
LIMIT toInteger($limit)
