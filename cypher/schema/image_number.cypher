// An image's number is the ledger's, and unique.
// mode: schema
CREATE CONSTRAINT image_number IF NOT EXISTS FOR (i:Image) REQUIRE i.number IS UNIQUE
