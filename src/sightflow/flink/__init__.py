"""The Flink runner: the only room that knows Apache Flink."""
