// Images are found by their component.
// mode: schema
CREATE INDEX image_component IF NOT EXISTS FOR (i:Image) ON (i.component)
