// Write the component of images, by their numbers.
// params: rows
// mode: write
UNWIND $rows AS row
MATCH (i:Image)
WHERE id(i) = row.number
SET i.component = row.component
