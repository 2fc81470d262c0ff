CREATE TABLE experiments (
  name TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  arm TEXT NOT NULL,
  step BIGINT NOT NULL,
  why TEXT NOT NULL,
  created BIGINT NOT NULL, changed BIGINT NOT NULL, version BIGINT NOT NULL
);
