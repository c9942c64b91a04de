// Draft clusters, without their images yet.
// params: rows, floor, method
// returns: drafted
// mode: write
UNWIND $rows AS row
CREATE (d:Draft {id: row.id, size: row.size, floor: $floor, method: $method})
RETURN count(d) AS drafted
