// A landmark's name is unique.
// mode: schema
CREATE CONSTRAINT landmark_name IF NOT EXISTS FOR (l:Landmark) REQUIRE l.name IS UNIQUE
