"""The lake: the only room that reads or writes. Settings, Spark session, table contracts, sources."""
