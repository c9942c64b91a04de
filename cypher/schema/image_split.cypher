// Images are listed in the order of their split.
// mode: schema
CREATE INDEX image_split IF NOT EXISTS FOR (i:Image) ON (i.split)
