"""What is kept: the journal of records."""
