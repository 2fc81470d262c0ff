CREATE TABLE templates (
  name TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  first BIGINT NOT NULL,
  latest BIGINT NOT NULL,
  labels TEXT NOT NULL,
  created BIGINT NOT NULL, changed BIGINT NOT NULL, version BIGINT NOT NULL
);

-- id is NAME@NUMBER with leading zeros, so that it has the order of the numbers.
CREATE TABLE template_versions (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL REFERENCES templates (name),
  number BIGINT NOT NULL,
  body TEXT NOT NULL,
  author TEXT NOT NULL,
  created BIGINT NOT NULL, changed BIGINT NOT NULL, version BIGINT NOT NULL
);
CREATE INDEX template_versions_name ON template_versions (name, number);
