"""What a person writes: the schema, its files, and every check before anything heavy."""
