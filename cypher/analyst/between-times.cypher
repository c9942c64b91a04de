// Images taken between two times, the last one whole (1990, 1990-07, 1990-07-14), earliest first; known to the year: any of it.
// params: from, to, limit
// returns: id, name, taken_at, taken_until
// mode: read
WITH [text IN [toString($from), toString($to)]
      WHERE text =~ '[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9:.]+)?)?)?' | localdatetime(text)] AS times
WITH times[0] AS first, times[1] + duration(
       CASE size(toString($to)) WHEN 4 THEN 'P1Y' WHEN 7 THEN 'P1M' WHEN 10 THEN 'P1D' ELSE 'PT1S' END
     ) AS after
MATCH (i:Image)
USING RANGE INDEX i:Image(taken_at)
WHERE i.taken_at >= first - duration('P1Y') AND i.taken_at < after AND i.taken_until >= first
RETURN i.id AS id, i.name AS name, toString(i.taken_at) AS taken_at, toString(i.taken_until) AS taken_until
ORDER BY i.taken_at, id
LIMIT toInteger($limit)
