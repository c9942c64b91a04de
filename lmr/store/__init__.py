"""The ledger (SQLite), the vector index (Milvus) and the graph (Neo4j)."""
