// Write the component of images, by their numbers.
// params: rows
// mode: write
UNWIND $rows AS row
MATCH (i:Image {number: row.number})
USING INDEX SEEK i:Image(number)
SET i.component = row.component
