"""Forest, ranking, paths and clusters: what runs the queries of cypher/ and reads their rows."""
