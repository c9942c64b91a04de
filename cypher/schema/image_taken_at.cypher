// Images are found by when they were taken.
// mode: schema
CREATE INDEX image_taken_at IF NOT EXISTS FOR (i:Image) ON (i.taken_at)
