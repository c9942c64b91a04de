// Images are found by where they were taken.
// mode: schema
CREATE POINT INDEX image_location IF NOT EXISTS FOR (i:Image) ON (i.location)
