// Images are found whose position was measured as they were taken.
// mode: schema
CREATE INDEX image_from_camera IF NOT EXISTS FOR (i:Image) ON (i.from_camera)
