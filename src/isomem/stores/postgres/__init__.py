"""The PostgreSQL store set: everything of a memory in one database, one transaction for a plan."""
