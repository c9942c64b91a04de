"""What is asked of a collection: searches, explanations, evaluation. Nothing here writes."""
