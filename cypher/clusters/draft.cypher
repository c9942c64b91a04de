// Draft clusters, without their images yet.
// params: rows, min_weight, method
// returns: drafted
// mode: write
UNWIND $rows AS row
CREATE (d:Draft {id: row.id, size: row.size, floor: $min_weight, method: $method})
RETURN count(d) AS drafted
